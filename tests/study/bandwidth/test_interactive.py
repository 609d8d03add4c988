"""The interactive page: whole in one file, and alive in a browser, where there is one."""

import json
import re
import shutil
import subprocess

import pytest

from fedretina.study.bandwidth import results
from fedretina.study.bandwidth.interactive import interactive_page

from .conftest import measurement

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HARNESS = """
<script>
{
const say = (name, value) => { document.body.dataset[name] = value; };
say("lines", document.querySelectorAll("polyline").length);
document.getElementById("best").click();
say("settings", document.querySelectorAll("polyline").length);
document.getElementById("best").click();
const svg = document.getElementById("plot");
svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
say("keys", document.getElementById("told").textContent);
const { left, top, width, height } = svg.getBoundingClientRect();
svg.dispatchEvent(new PointerEvent("pointermove", { clientX: left + 60, clientY: top + height / 2 }));
say("pointer", document.getElementById("told").textContent);
[...document.querySelectorAll("#codecs input")].find((input) => input.value === "stc").click();
say("filtered", document.querySelectorAll("polyline").length);
document.getElementById("theme").click();
say("theme", document.documentElement.className);
say("wide", document.documentElement.scrollWidth <= window.innerWidth);
}
</script>
"""


@pytest.fixture
def page(cells):
    tried = [measurement("stc", [10, 20, 30, 98], 66, setting={"share": 0.02}, seed=3), *cells]
    chosen = [one for one in cells if one.cell.variant.label != "share=0.04"]
    return interactive_page(results(chosen), results(tried), command="fedretina study bandwidth --task '<toy>'")


def test_it_loads_nothing_and_escapes_what_was_typed(page):
    assert not re.search(r"(src|href)=|@import|url\(|fetch\(", page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "&lt;toy&gt;" in page


def test_it_has_the_data(page):
    (task,) = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page)[1])
    assert (task["name"], task["goal"], len(task["lines"])) == ("toy", 99, 6)
    assert [line["setting"] for line in task["lines"] if not line["best"]] == ["share=0.02", "share=0.04"]
    ours = next(line for line in task["lines"] if line["ours"])
    assert (ours["bytes"], ours["scores"], ours["needed"]) == ([40, 80, 120], [70, 99, 100], 80)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1200, 390])
def test_it_works_in_a_browser(page, tmp_path, width):
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", f"{HARNESS}</body>"))
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    command = [BROWSER, *arguments, f"--window-size={width},900", "--virtual-time-budget=2000", file.as_uri()]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    body = dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<body[^>]*>", told)[0]))
    assert (body["lines"], body["settings"], body["filtered"]) == ("4", "6", "3")
    assert body["keys"].startswith("none round 2: 90 accuracy after 16 kB")
    assert body["pointer"].startswith("dom relative_error=0.9round 1: 70 accuracy after 40 B")
    assert body["theme"] == "dark"
    assert body["wide"] == "true"
