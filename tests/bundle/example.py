"""The options of k8s/overlays/example: what its reader does with the `#` of a line or of a block.

A block is a paragraph of comments: some prose that ends with a colon, then what may be uncommented. A line that says
behind itself what it is for is an option of its own. What a text names as `components/<name>` it needs; what is to be
done `before the first apply` cannot be done later.
"""

import re
from dataclasses import dataclass
from functools import cache

from tests.bundle.rendering import K8S

EXAMPLE = K8S / "overlays" / "example"
TEXT = (EXAMPLE / "kustomization.yaml").read_text()
COMMENT = re.compile(r"^( *)# (.*)$")


@dataclass(frozen=True)
class Option:
    """Some commented lines of the example, by their numbers from 0, and the prose about them."""

    name: str
    lines: frozenset[int]
    prose: str

    @property
    def needs(self) -> frozenset[str]:
        """The components that the prose, or the lines themselves, name."""
        lines = TEXT.splitlines()
        return frozenset(re.findall(r"components/([a-z-]+)", " ".join([self.prose, *(lines[n] for n in self.lines)])))

    @property
    def only_at_first(self) -> bool:
        return "before the first apply" in self.prose


def paragraphs() -> list[list[int]]:
    """The numbers of comment lines that stand together."""
    found: list[list[int]] = [[]]
    for number, line in enumerate(TEXT.splitlines()):
        if COMMENT.match(line):
            found[-1].append(number)
        elif found[-1]:
            found.append([])
    return [each for each in found if each]


@cache
def options() -> tuple[Option, ...]:
    """Every option of the example, in its order."""
    found = []
    for numbers in paragraphs():
        words = {number: COMMENT.match(TEXT.splitlines()[number])[2] for number in numbers}  # type: ignore[index]
        single = {number: text for number, text in words.items() if re.match(r"- \S+ +# ", text)}
        for number, text in single.items():
            found.append(Option(text.split()[1].rpartition("/")[2], frozenset({number}), text))
        heads = [number for number in numbers if words[number].endswith(":") and not single]
        if heads and heads[0] < numbers[-1]:
            prose = " ".join(words[number] for number in numbers if number <= heads[0])
            lines = frozenset(number for number in numbers if number > heads[0])
            found.append(Option(re.split(r"[.,;:]", prose)[0], lines, prose))
    return tuple(found)


def with_components(*names: str) -> frozenset[int]:
    """The lines that name these components and are commented."""
    return frozenset(n for each in options() for n in each.lines if each.name in names and each.needs == {each.name})


def written(*chosen: Option, components: frozenset[str] = frozenset()) -> str:
    """The example's text with these options uncommented, and what they need."""
    wanted = with_components(*components, *(name for each in chosen for name in each.needs))
    wanted = wanted.union(*(each.lines for each in chosen))
    lines = [COMMENT.sub(r"\1\2", line) if n in wanted else line for n, line in enumerate(TEXT.splitlines())]
    return "\n".join(lines) + "\n"
