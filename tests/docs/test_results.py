"""The pages of results: of several seeds, written by the programs that they name; README quotes nothing else."""

import re

from pages import DOCS, README, RESULTS, ROOT, read


def test_pages_of_studies_are_of_several_seeds():
    makefile = read(ROOT / "Makefile")
    assert "--quick" not in makefile.split("\ndocs:")[1]
    pages = sorted((DOCS / "results" / "studies").glob("*.md"))
    assert pages
    for page in pages:
        assert "--quick" not in read(page), f"{page}: a look, not a result"
        assert "over the seeds." in read(page), f"{page}: one seed"


def test_readme_quotes_numbers_of_the_results():
    results = "".join(map(read, RESULTS))
    quoted = re.findall(r"[+-]?\d+\.\d ± \d+\.\d", read(README))
    assert len(quoted) > 15
    quoted += re.findall(r"[\d.]+ times fewer", read(README))
    for number in quoted:
        assert number in results, f"{number} is in no page of results"


def test_readme_quotes_rows_of_the_ablation():
    rows = {
        "some | random | nobody | no": "target alone",
        "some | best source | nobody | no": "best source, fine-tuned",
        "some | random | target | no": "self-training, from scratch",
        "some | best source | target | no": "self-training, from the best source",
        "some | best source | target and three sources | no": "committee: all sources, own",
        "some | best source | target and three sources | yes": "committee: all sources, own, and Eq. 1",
        "all | random | nobody | no": "target, all labels",
    }
    ablation = read(DOCS / "results" / "studies" / "ablation.md")
    for shown, measured in rows.items():
        assert numbers(read(README), shown) == numbers(ablation, measured), shown


def numbers(text, name):
    """Return mean and standard deviation of each cell in the row of that name."""
    (row,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", text, re.MULTILINE)
    return [cell.partition("/")[0].strip() for cell in row.split("|")]
