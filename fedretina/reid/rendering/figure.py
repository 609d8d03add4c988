"""Draw a pedestrian: a jointed body in three dimensions, in a walking pose, drawn from far to near."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedretina.reid.rendering.canvas import Canvas, Pixels, Point, draw_limb, draw_tube
from fedretina.reid.rendering.garments import clothes_surface, head_surface, plain, rotate_surface
from fedretina.reid.rendering.person import RGB, Person

Vector = NDArray[np.float64]
"""shape (3,): x to the right, y away from the camera, z up; in body heights"""
Part = tuple[float, Callable[[], None]]
"""depth, and the function that draws the part"""

_T = np.linspace(0, 1, 33)
_MALE = np.interp(_T, (0, 0.25, 0.55, 0.78, 0.88, 0.95, 1), (0.080, 0.078, 0.090, 0.106, 0.098, 0.062, 0.03))
_FEMALE = np.interp(_T, (0, 0.25, 0.55, 0.78, 0.88, 0.95, 1), (0.088, 0.068, 0.082, 0.092, 0.085, 0.055, 0.028))
_DEPTH = np.interp(_T, (0, 0.25, 0.55, 0.78, 0.88, 0.95, 1), (0.062, 0.057, 0.068, 0.06, 0.05, 0.04, 0.028))
_ROUND = np.sqrt(np.clip(1 - (2 * _T - 1) ** 2, 0, 1))
_HIP, _SHOULDER, _NECK = 0.5, 0.795, 0.865


@dataclass(frozen=True)
class Pose:
    """The pose of a person in one image; angles in radians."""

    yaw: float
    """0: towards the camera, pi / 2: the person's left turned to the camera's right, pi: away"""
    phase: float
    """phase of the stride"""
    swing: float
    """amplitude of the arms"""


@dataclass(frozen=True)
class View:
    """The projection of a person into the image: weak perspective."""

    scale: float
    """pixels per body height"""
    feet: Point
    pitch: float
    """angle at which the camera looks down, in radians"""
    taper: float
    """relative enlargement of the head over the feet"""
    roll: float
    """pixels to the right per pixel upwards"""

    def project(self, point: Vector) -> Point:
        """Map a point in body heights to the image."""
        x, y, z = point
        size = self.scale * (1 + self.taper * (z - 0.5))
        up = size * (z * math.cos(self.pitch) + y * math.sin(self.pitch))
        return float(self.feet[0] + size * x + self.roll * up), float(self.feet[1] - up)


class Figure:
    """A person in a pose."""

    def __init__(self, person: Person, pose: Pose, view: View) -> None:
        self.person, self.pose, self.view = person, pose, view
        self.forward = np.array((np.sin(pose.yaw), -np.cos(pose.yaw), 0))
        self.left = np.array((np.cos(pose.yaw), np.sin(pose.yaw), 0))
        legs = {side: self._leg(side) for side in (1, -1)}
        drop = min(joints[2][2] for joints in legs.values()) - 0.04
        self.base = np.array((0, 0, -drop))
        self.legs = {side: [joint + self.base for joint in joints] for side, joints in legs.items()}

    def draw(self, canvas: Canvas) -> None:
        """Draw all parts, the far ones first."""
        lower = [self._leg_part(canvas, side) for side in (1, -1)]
        upper = [self._torso_part(canvas), *(self._arm_part(canvas, side) for side in (1, -1)), *self._extras(canvas)]
        for parts in (lower, upper):
            for _, paint in sorted(parts, key=lambda part: -part[0]):
                paint()

    def at(self, forward: float, left: float, up: float) -> Vector:
        """Compute a point of the trunk, which leans forward above the hips."""
        lean = self.person.body.lean * max(up - _HIP, 0)
        place: Vector = self.base + (forward + lean) * self.forward + left * self.left
        place[2] += up
        return place

    def limb(self, canvas: Canvas, start: Vector, end: Vector, radii: tuple[float, float], colour: RGB) -> None:
        """Draw a limb; lengths are in body heights."""
        pixels = (radii[0] * self.view.scale, radii[1] * self.view.scale)
        draw_limb(canvas, self.view.project(start), self.view.project(end), pixels, np.array(colour, np.float32))

    def _leg(self, side: int) -> list[Vector]:
        """Compute hip, knee and ankle of a leg, before the body is placed on the ground."""
        body = self.person.body
        turn = side * np.sin(self.pose.phase)
        thigh = body.stride * turn + 0.06
        bend = 0.12 + 0.75 * body.stride * max(0.0, side * np.cos(self.pose.phase)) + 0.25 * max(0.0, -turn) * body.stride
        hip = side * 0.043 * body.build * self.left + np.array((0, 0, _HIP))
        knee = hip + 0.235 * self._swing(thigh)
        return [hip, knee, knee + 0.225 * self._swing(thigh - bend)]

    def _swing(self, angle: float) -> Vector:
        """Compute the direction of a limb: down at angle 0, forward at pi / 2."""
        return np.asarray(np.sin(angle) * self.forward - np.array((0, 0, np.cos(angle))))

    def _leg_part(self, canvas: Canvas, side: int) -> Part:
        hip, knee, ankle = self.legs[side]
        return float((knee + ankle)[1] / 2), lambda: self._draw_leg(canvas, hip, knee, ankle)

    def _draw_leg(self, canvas: Canvas, hip: Vector, knee: Vector, ankle: Vector) -> None:
        bottom, body = self.person.bottom, self.person.body
        heel, toe = ankle + np.array((0, 0, -0.018)), ankle + 0.075 * self.forward + np.array((0, 0, -0.024))
        self.limb(canvas, heel - 0.012 * self.forward, toe, (0.022, 0.017), bottom.shoes)
        thick = 0.5 + 0.5 * body.build
        thigh, calf, shin = 0.05 * thick, 0.035 * thick, 0.022 * thick
        if bottom.kind == "trousers":
            flare = bottom.flare
            self.limb(canvas, knee, ankle, (calf + 0.004 + flare / 2, shin + 0.006 + flare), bottom.colour)
            self.limb(canvas, hip, knee, (thigh + 0.004, calf + 0.005 + flare / 2), bottom.colour)
            return
        self.limb(canvas, knee, ankle, (calf, shin), body.skin)
        self.limb(canvas, hip, knee, (thigh, calf), body.skin)
        if bottom.kind == "shorts":
            end = hip + min(2 * bottom.reach, 1.0) * (knee - hip)
            self.limb(canvas, hip, end, (thigh + 0.006, calf + 0.008 + 0.7 * bottom.flare), bottom.colour)

    def _torso_part(self, canvas: Canvas) -> Part:
        return 0.0, lambda: self._draw_torso(canvas)

    def _draw_torso(self, canvas: Canvas) -> None:
        person = self.person
        if person.bottom.kind == "skirt":
            self._draw_skirt(canvas)
        else:
            self._tube(canvas, _HIP - 0.045, _HIP + 0.06, self._widths(0.006)[:9], plain(person.bottom.colour))
        self.limb(canvas, self.at(0, 0, 0.84), self.at(0.006, 0, 0.885), (0.028, 0.025), person.body.skin)
        widths = np.interp(_T, (0, 0.15, *np.linspace(0.25, 1, 33)), (1, 1, *np.ones(33)))
        widths = widths * self._widths(person.top.loose)
        hem = person.top.hem
        if hem > 0.08:  # a coat widens over the hips and hides the thighs
            above = (_T * (_NECK - _HIP + hem) - hem) / (_NECK - _HIP)
            widths = np.interp(above, _T, widths) + np.clip(-above, 0, None) * 0.05
        paint = rotate_surface(clothes_surface(person), self.pose.yaw)
        self._tube(canvas, _HIP - hem, _NECK, widths, paint)

    def _draw_skirt(self, canvas: Canvas) -> None:
        bottom = self.person.bottom
        end = _HIP + 0.08 - bottom.reach * 0.5
        hips = self._widths(0.008)[0]
        swing = 0.35 * abs(float((self.legs[1][1] - self.legs[-1][1])[0]))
        spread = hips * 1.02 + (bottom.flare * 2.2 + swing) * bottom.reach / 0.5
        self._tube(canvas, end, _HIP + 0.1, np.linspace(spread, hips * 0.9, 9), plain(bottom.colour))

    def _widths(self, loose: float) -> Pixels:
        """Compute the half-widths of the trunk as the camera sees it, from hip to neck: an ellipse rotated by yaw."""
        body = self.person.body
        wide = ((1 - body.curves) * _MALE + body.curves * _FEMALE) * body.build
        deep = _DEPTH * (0.4 + 0.6 * body.build)
        seen = np.hypot(wide * np.cos(self.pose.yaw), deep * np.sin(self.pose.yaw))
        return np.asarray(seen + loose * np.interp(_T, (0, 0.8, 1), (1, 1, 0.2)), np.float32)

    def _tube(
        self, canvas: Canvas, low: float, high: float, widths: Pixels, paint: Callable[[Pixels, Pixels], Pixels]
    ) -> None:
        start, end = self.view.project(self.at(0, 0, low)), self.view.project(self.at(0, 0, high))
        draw_tube(canvas, start, end, np.asarray(widths * self.view.scale, np.float32), paint)

    def _arm_part(self, canvas: Canvas, side: int) -> Part:
        body, top = self.person.body, self.person.top
        angle = -side * self.pose.swing * np.sin(self.pose.phase)
        reach = (1 - body.curves) * 0.092 + body.curves * 0.079
        shoulder = self.at(0, side * (reach * body.build + top.loose * 0.6), _SHOULDER)
        away = 0.1 * side * self.left
        elbow = shoulder + 0.165 * (self._swing(angle) + away)
        wrist = elbow + 0.15 * (self._swing(angle + 0.25 + 0.5 * max(angle, 0)) + 0.3 * away)
        return float((elbow + wrist)[1] / 2), lambda: self._draw_arm(canvas, shoulder, elbow, wrist, side)

    def _draw_arm(self, canvas: Canvas, shoulder: Vector, elbow: Vector, wrist: Vector, side: int) -> None:
        body, top, bag = self.person.body, self.person.top, self.person.bag
        thick = 0.5 + 0.5 * body.build
        self.limb(canvas, wrist, wrist + 0.035 * (wrist - elbow) / 0.15, (0.017, 0.013), body.skin)
        if top.sleeves < 1:
            self.limb(canvas, elbow, wrist, (0.024 * thick, 0.017 * thick), body.skin)
        if top.sleeves < 0.5:
            self.limb(canvas, shoulder, elbow, (0.03 * thick, 0.024 * thick), body.skin)
        wide = (0.03 * thick + 0.4 * top.loose, 0.026 * thick + 0.4 * top.loose)
        if top.sleeves > 0.5:
            end = elbow + (2 * top.sleeves - 1) * (wrist - elbow)
            self.limb(canvas, elbow, end, (wide[1], 0.021 * thick + 0.4 * top.loose), top.colour)
        end = shoulder + min(2 * top.sleeves, 1.0) * (elbow - shoulder)
        self.limb(canvas, shoulder, end, wide, top.colour)
        if bag.kind == "hand" and bag.side == side:
            self._box(canvas, wrist - np.array((0, 0, 0.16)), 0.13, (0.062, 0.03))

    def _box(self, canvas: Canvas, bottom: Vector, height: float, size: tuple[float, float]) -> None:
        """Draw a bag of the given width and depth."""
        seen = abs(size[1] * np.cos(self.pose.yaw)) + abs(size[0] * np.sin(self.pose.yaw))
        widths = seen * np.interp(_T, (0, 0.08, 0.8, 1), (0.85, 1, 0.95, 0.6)) * self.view.scale
        ends = self.view.project(bottom), self.view.project(bottom + np.array((0, 0, height)))
        draw_tube(canvas, *ends, np.asarray(widths, np.float32), plain(self.person.bag.colour), flat=0.5)

    def _extras(self, canvas: Canvas) -> list[Part]:
        """List head, hair and bags, with their depths."""
        body, bag = self.person.body, self.person.bag
        parts: list[Part] = [(float(self.at(0.02, 0, 0)[1]) * 0.1 - 0.001, lambda: self._draw_head(canvas))]
        behind = self.at(-0.045, 0, 0)[1]
        if body.hairstyle in ("long", "ponytail"):
            width = 0.05 if body.hairstyle == "long" else 0.018
            ends = self.at(-0.03, 0, 0.955), self.at(-0.05, 0, 0.82)
            parts.append((float(behind), lambda: self.limb(canvas, *ends, (width * 0.8, width * 0.9), body.hair)))
        if body.hairstyle == "bun":
            knot = self.at(-0.05, 0, 0.985)
            parts.append((float(behind), lambda: self.limb(canvas, knot, knot, (0.028, 0.028), body.hair)))
        if bag.kind == "backpack":
            place = self.at(-0.105, 0, 0.565)
            parts.append((float(place[1]) * 0.8, lambda: self._box(canvas, place, 0.25, (0.05, 0.085))))
        if bag.kind == "shoulder":
            place = self.at(0, bag.side * 0.115 * body.build, 0.44)
            parts.append((float(place[1]) * 1.5, lambda: self._box(canvas, place, 0.14, (0.075, 0.035))))
        return parts

    def _draw_head(self, canvas: Canvas) -> None:
        body = self.person.body
        wide = np.hypot(0.055 * np.cos(self.pose.yaw), 0.064 * np.sin(self.pose.yaw))
        widths = np.asarray(wide * _ROUND**0.9 * np.interp(_T, (0, 0.4, 1), (0.85, 0.98, 1)) * self.view.scale, np.float32)
        ends = self.view.project(self.at(0.012, 0, 0.86)), self.view.project(self.at(0.018, 0, 1.01))
        draw_tube(canvas, *ends, widths, rotate_surface(head_surface(self.person), self.pose.yaw))
        if body.hairstyle == "cap":
            brow = self.at(0.02, 0, 0.955)
            if self.forward[1] < 0.5:
                self.limb(canvas, brow, brow + 0.065 * self.forward, (0.02, 0.012), self.person.top.accent)
