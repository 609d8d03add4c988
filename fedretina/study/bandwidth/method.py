"""What the page says of how it was measured."""

from collections.abc import Collection, Sequence

from fedretina.study.bandwidth.cells import Measured


def choice_words(seeds: Sequence[Collection[int]], tried: Sequence[Collection[int]]) -> str:
    """Say what the goal is, and on which seeds settings were chosen."""
    reported, chosen = ({seed for task in tasks for seed in task} for tasks in (seeds, tried))
    where = (
        f"A codec's setting was chosen on seed {', '.join(map(str, sorted(chosen)))}, which is not reported."
        if reported.isdisjoint(chosen)
        else "A codec's setting was chosen on the same seeds, which favours codecs with many settings."
    )
    return (
        "The goal is 99 % of the last score without compression, with the same seed; of a loss 99 % of its fall. It counts "
        f"as reached in the first round that has it.\n\n{where} It is the one with the fewest bytes to the goal, among "
        "those that have it in the last round too. If none has, among those that reach it. If none reaches it, the one with "
        "the best last score.\n\n± is the standard error over seeds. Bytes are given where all seeds reach the goal."
    )


def method(cells: Sequence[Measured]) -> str:
    """Return the last section."""
    outers = ", ".join(sorted({one.cell.plan.outer for one in cells}))
    return f"""## How it was measured

- **Bytes** are the lengths of what a codec's `encode` returns, of all clients, up and down. Nobody is sent the first model:
  it follows from the seed. Names and shapes travel for nothing, except with ours, whose payload is whole.
- **Every curve was run.** `none` is averaging without compression, trained with the same batches.
- **Both directions** are coded by the same codec. Settings that begin with `down_` hold on the way down only. A preset of
  ours has a configuration for each direction. The server sends its step once for all clients; it counts once a client.
- **Ours** is `dom`, the codec as strategies use it: settings are fields of `DomConfig`.
- **What `rotated` owes to others**: the random rotation and the scale that makes it unbiased are EDEN's, a peer here.
- **Error feedback** is on where the scheme has it, at clients and at the server. The residuals stay where they are made.
- **Local steps** are the same for all codecs: fewer rounds are the training's saving, not a codec's. The server's step:
  {outers}.
- **In the peers' favour**: positions of top-k, STC and EF21 travel in Rice's code, QSGD's levels through pcodec, PowerSGD's
  factors as half floats.
- **BatchNorm's statistics** stay with their domain in `reid`. Codecs that are right only in the mean make variances
  negative.
- **Divergence.** A training with values that are not finite keeps the first model's score, and goes on costing bytes.
- **Equal batches.** With one seed all codecs see the same first model and the same batches.

[Studies](../guides/studies.md) says how to run it on your own task, and how to add a codec."""
