"""What mkdocs calls while it builds the site (https://www.mkdocs.org/dev-guide/plugins/#events)."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

from collapse_jax.measures import MEASURES
from scripts import notebooks
from scripts.docsite import handbook, links, reference
from scripts.docsite.sources import source_page

# What a page must not load: the site is read offline, and tells nobody that it is read.
LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^\"'\s>]+")
COMMAND = re.compile(r"(?<=<td><code>)python -m [^<]*(?=</code></td>)")
WORD = re.compile(r"\S+")
NOT_LOADED = ("rel=canonical", 'rel="canonical"')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's root, and all that any page links to."""
    for name, uri in links.AT_ROOT.items():
        if (links.ROOT / name).exists():
            files.append(File.generated(config, uri, content=(links.ROOT / name).read_text()))
    pages = list(files.documentation_pages())
    _add_notebooks(files, config)
    for page in pages:  # which generated pages link to is on the site by itself
        _add_linked(page, files, config)
    for uri, text in {**reference.pages(), **handbook.pages()}.items():
        files.append(File.generated(config, uri, content=text))
    return files


def _add_notebooks(files: Files, config: MkDocsConfig) -> None:
    """Add the notebooks as `scripts.notebooks` has run them; those that were not run have no outputs."""
    ran = {file.name: file for file in notebooks.BUILT.glob("*")}
    for source in notebooks.sources():
        if f"{source.stem}.md" not in ran:
            page, _ = notebooks.page_of(source.stem, notebooks.cells_of(source.read_text()))
            files.append(File.generated(config, f"notebooks/{source.stem}.md", content=page))
    for name, file in ran.items():
        files.append(File.generated(config, f"notebooks/{name}", abs_src_path=str(file)))


def _add_linked(page: File, files: Files, config: MkDocsConfig) -> None:
    for link in links.targets(page.content_string):
        path, _ = links.linked_path(links.repository_path(page.src_uri), link)
        uri = _found(page.src_uri, link, path)
        if files.get_file_from_path(uri) is not None:
            continue
        if uri.endswith(".md"):
            file = File.generated(config, uri, content=source_page(path), inclusion=InclusionLevel.NOT_IN_NAV)
        else:
            file = File.generated(config, uri, abs_src_path=str(links.ROOT / path))
        files.append(file)


def _found(page: str, link: str, path: str) -> str:
    try:
        return links.site_path(path)
    except FileNotFoundError:
        raise PluginError(f"{links.repository_path(page)}: link to {link}: there is no {path}") from None


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make links of the repository links of the site."""
    uri = page.file.src_uri
    if uri.startswith("source/") or (page.file.generated_by and uri not in links.AT_ROOT.values()):
        return markdown
    return links.rewrite(markdown, lambda link: links.on_site(uri, link))


def on_page_content(html: str, **_: Any) -> str:
    """Break commands in tables between their words alone, which style.css asks of these."""
    return COMMAND.sub(lambda match: WORD.sub(r"<span>\g<0></span>", match[0]), html)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that loads anything from elsewhere, or lacks a public name or a variable of a measure."""
    lacking = reference.missing(Path(config.site_dir) / "objects.inv")
    if lacking:
        raise PluginError(f"the reference lacks {', '.join(lacking)}")
    for name, measure in MEASURES.items():
        html = (Path(config.site_dir) / "handbook" / f"{name}.html").read_text()
        for variable in measure.variables:
            if f"<code>{variable}</code>" not in html:
                raise PluginError(f"the handbook's page of {name} lacks {variable}")
    for page in Path(config.site_dir).rglob("*.html"):
        for tag in LOADED.findall(page.read_text()):
            if not any(word in tag for word in NOT_LOADED):
                raise PluginError(f"{page.relative_to(config.site_dir)} loads {tag}")
