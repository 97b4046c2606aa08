"""Makes the book whole: python3 .ci/book.py FOLDER

Pages link to files of the repository beside docs/, as a code host shows them. In the book there is nothing beside it, so those
files are copied into it, as text, and the links are changed. Then every link of the book must lead somewhere.
"""

import html.parser
import os
import pathlib
import re
import shutil
import sys
import urllib.parse

book = pathlib.Path(sys.argv[1]).resolve()
repository = pathlib.Path(__file__).resolve().parent.parent
docs = repository / "docs"
faults = []


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, _tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.anchors.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)


def beside(page, link):
    """The file of the repository that a link of a page means, where it lies beside docs/."""
    path = urllib.parse.unquote(link.partition("#")[0])
    meant = pathlib.Path(os.path.normpath(docs / page.parent / path))
    if docs in meant.parents or meant == docs:
        return None
    # mdBook takes every page for one of its own.
    return meant if meant.exists() else meant.with_suffix(".md")


def take_in(path):
    """Copies what lies beside docs/ and is linked to."""
    page = path.relative_to(book)
    text = path.read_text()

    def changed(match):
        link = match[2]
        if not link.startswith("../"):
            return match[0]
        file = beside(page, link)
        if file is None:
            return match[0]
        if not file.is_file() or repository not in file.parents:
            faults.append(f"{page}: {link}: there is no such file")
            return match[0]
        name = pathlib.Path("files") / file.relative_to(repository)
        name = name.with_name(name.name + ".txt")
        (book / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, book / name)
        return f'{match[1]}="{os.path.relpath(name, page.parent)}"'

    path.write_text(re.sub(r'(href|src)="([^"]*)"', changed, text))


pages = [path for path in sorted(book.rglob("*.html")) if path.name not in ("404.html", "toc.html")]
for path in pages:
    take_in(path)
parsed = {path: Page(path) for path in pages}
followed = 0
for path, page in parsed.items():
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        to = pathlib.Path(os.path.normpath(path.parent / urllib.parse.unquote(file))) if file else path
        followed += 1
        if not to.exists():
            faults.append(f"{path.relative_to(book)}: {link}: there is no such file")
        elif anchor and to in parsed and urllib.parse.unquote(anchor) not in parsed[to].anchors:
            faults.append(f"{path.relative_to(book)}: {link}: there is no such heading")

print("\n".join(faults) or f"{len(pages)} pages, {followed} links: all lead somewhere")
sys.exit(1 if faults else 0)
