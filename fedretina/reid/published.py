"""Published numbers of images of known data sets, so that an incomplete copy is noticed."""

import re
from dataclasses import dataclass

Splits = tuple[int, int, int]


@dataclass(frozen=True)
class Counts:
    """Published numbers of images of a data set.

    Parameters
    ----------
    title : str
        The data set's name.
    distributed : tuple of (int, int, int)
        Numbers of image files in train, query and gallery, with junk and distractors; one entry per variant.
    paper : (int, int), optional
        Numbers of train and test images in Table 1 of the paper (Lou et al., ICME 2019).
    paper_identities : (int, int), optional
        Numbers of train and test identities in the same table.
    """

    title: str
    distributed: tuple[Splits, ...]
    paper: tuple[int, int] | None = None
    paper_identities: tuple[int, int] | None = None

    def __str__(self) -> str:
        """Describe the data set, its variants and the paper's numbers."""
        variants = " or ".join(" / ".join(f"{count:,}" for count in splits) for splits in self.distributed)
        paper = f"; the paper's Table 1 says {self.paper[0]:,} train, {self.paper[1]:,} test" if self.paper else ""
        return f"{variants} for {self.title}{paper}"


# Market-1501's gallery includes its 3,819 junk images. MSMT17: with and without its validation part.
# CUHK03: the new protocol (Zhong et al., CVPR 2017), detected and labelled boxes; the paper used another protocol.
_PUBLISHED = {
    "duke": Counts("DukeMTMC-reID", ((16_522, 2_228, 17_661),), (16_522, 19_919), (702, 1_110)),
    "market1501": Counts("Market-1501", ((12_936, 3_368, 19_732),), (12_936, 19_752), (751, 750)),
    "msmt17": Counts("MSMT17", ((32_621, 11_659, 82_161), (30_248, 11_659, 82_161)), (32_621, 93_820), (1_041, 3_060)),
    "cuhk03": Counts("CUHK03", ((7_365, 1_400, 5_332), (7_368, 1_400, 5_328)), (26_264, 1_928), (1_367, 100)),
}


def published_counts(name: str) -> Counts | None:
    """Find the published numbers of a data set by its name.

    Parameters
    ----------
    name : str
        Name of a folder or domain, in any spelling (``Market-1501-v15.09.15``).

    Returns
    -------
    Counts or None
        The numbers; None if the name is not that of a known data set.

    Examples
    --------
    >>> published_counts("Market-1501-v15.09.15").distributed
    ((12936, 3368, 19732),)
    >>> published_counts("my-shop") is None
    True
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((counts for key, counts in _PUBLISHED.items() if plain.startswith(key)), None)
