//! What the pages say of each other and of the code: links lead somewhere, the book has all pages, and the walk through the
//! code names what is there.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Component, Path, PathBuf},
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All pages below a folder, by their paths within the repository.
fn pages_below(folder: &str) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
        let path = Path::new(folder).join(entry.unwrap().file_name());
        if repository().join(&path).is_dir() {
            pages.extend(pages_below(path.to_str().unwrap()));
        } else if path.extension().is_some_and(|end| end == "md") {
            pages.push(path);
        }
    }
    pages
}

/// All pages that people read: those of the book and those beside it.
fn pages() -> Vec<PathBuf> {
    let beside = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "fixtures/README.md", "crates/fuzz/README.md"];
    let beside = beside.into_iter().map(PathBuf::from).filter(|page| repository().join(page).exists());
    pages_below("docs").into_iter().chain(pages_below("deploy")).chain(beside).collect()
}

/// The lines of a page that are text: not those of code blocks.
fn lines_of_text(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    page.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        (!in_block && !is_fence).then_some((index + 1, line))
    })
}

/// The line without what stands in code type: a link there is none.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Where the links and pictures of a page lead, each with its line.
fn links(page: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in lines_of_text(page) {
        for part in without_code(line).split("](").skip(1) {
            // Where there is no such end it isn't a link.
            let Some((to, _)) = part.split_once(')') else { continue };
            links.push((number, to.split_whitespace().next().unwrap_or_default().to_owned()));
        }
    }
    links
}

/// What a heading is called in a link, by code hosts and by the book alike.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in lines_of_text(page).filter(|(_, line)| line.starts_with('#')) {
        let name = anchor(line.trim_start_matches('#'));
        let nth = seen.entry(name.clone()).and_modify(|nth| *nth += 1).or_default();
        anchors.insert(if *nth == 0 { name } else { format!("{name}-{nth}") });
    }
    anchors
}

/// A path without `.` and `..`. None where it leads out of the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => normal.pop().then_some(())?,
            Component::Normal(name) => normal.push(name),
            _ => {}
        }
    }
    Some(normal)
}

/// What is wrong with a link of a page.
fn fault(page: &Path, to: &str) -> Option<String> {
    if to.starts_with("https://") || to.starts_with("mailto:") {
        return None;
    }
    let (file, wanted) = to.split_once('#').map_or((to, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { Some(page.to_owned()) } else { normal(&page.parent().unwrap().join(file)) };
    let Some(path) = path else { return Some("leads out of the repository".to_owned()) };
    let whole = repository().join(&path);
    if !whole.is_file() {
        return Some(format!("there is no file {}", path.display()));
    }
    let wanted = wanted?;
    (!anchors(&read(&whole)).contains(wanted)).then(|| format!("{} has no heading #{wanted}", path.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let (mut faults, mut followed) = (Vec::new(), 0);
    for page in pages() {
        for (line, to) in links(&read(&repository().join(&page))) {
            if page == Path::new("docs/SUMMARY.md") && to.is_empty() {
                continue;
            }
            followed += 1;
            faults.extend(fault(&page, &to).map(|fault| format!("{}:{line}: {to}: {fault}", page.display())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(followed > 100, "only {followed} links were found");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = Path::new("docs/report.md");
    assert_eq!(fault(page, "sending.md"), None);
    assert_eq!(fault(page, "../README.md#try-it"), None);
    assert_eq!(fault(page, "#summary"), None);
    for (to, said) in [
        ("sending.html", "there is no file docs/sending.html"),
        ("design", "there is no file docs/design"),
        ("#no-such", "docs/report.md has no heading #no-such"),
        ("../README.md#Try-it", "README.md has no heading #Try-it"),
        ("../../README.md", "leads out of the repository"),
    ] {
        assert_eq!(fault(page, to).as_deref(), Some(said), "{to}");
    }
    let text = "[a](b.md) and `[c](d.md)`\n```\n[e](f.md)\n```\n![g](h.png \"i\")\n";
    assert_eq!(links(text), [(1, "b.md".to_owned()), (5, "h.png".to_owned())]);
    let headings = anchors("# One: `two`, three\n## Again\n## Again\n```\n# none\n```\n");
    assert_eq!(headings, ["one-two-three", "again", "again-1"].map(str::to_owned).into());
}

#[test]
fn every_page_is_in_the_book_once() {
    let summary = read(&repository().join("docs/SUMMARY.md"));
    let listed: Vec<PathBuf> = links(&summary)
        .into_iter()
        .filter(|(_, to)| !to.is_empty())
        .map(|(_, to)| Path::new("docs").join(to))
        .collect();
    for page in pages_below("docs") {
        let times = listed.iter().filter(|listed| **listed == page).count();
        let wanted = usize::from(page != Path::new("docs/SUMMARY.md"));
        assert_eq!(times, wanted, "{} is {times} times in docs/SUMMARY.md: name it there once", page.display());
    }
}

/// What the walk says is where: a function or a type, and a file.
fn named(walk: &str) -> Vec<(String, PathBuf)> {
    let text = walk.replace('\n', " ");
    let mut named = Vec::new();
    for (at, _) in text.match_indices("` ([") {
        let name = text[..at].rsplit('`').next().unwrap();
        let file = text[at..].split("](").nth(1).unwrap().split(')').next().unwrap();
        named.push((name.to_owned(), normal(&Path::new("docs").join(file)).unwrap()));
    }
    named
}

/// Whether a file has a function or type of this name: `Type::function` is one of both.
fn has(code: &str, name: &str) -> bool {
    let declares = |what: &str, name: &str| {
        let begin = format!("{what} {name}");
        code.match_indices(&begin).any(|(at, _)| {
            let next = code[at + begin.len()..].chars().next();
            !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
    };
    match name.split_once("::") {
        Some((owner, function)) => {
            declares("fn", function) && ["impl", "for", ">", "struct", "enum"].iter().any(|what| declares(what, owner))
        }
        None => ["fn", "struct", "enum", "trait"].iter().any(|what| declares(what, name)),
    }
}

#[test]
fn the_walk_through_the_code_names_what_is_there() {
    let named = named(&read(&repository().join("docs/walk-through.md")));
    for (name, file) in &named {
        let code = read(&repository().join(file));
        assert!(has(&code, name), "docs/walk-through.md: {} has no `{name}`", file.display());
    }
    assert!(named.len() > 40, "only {} were found", named.len());
    let code = "impl<T> Pace<T> {\n    pub fn open(&self) {}\n}\n";
    assert!(has(code, "open") && has(code, "Pace::open"));
    assert!(!has(code, "ope") && !has(code, "Lanes::open") && !has(code, "Pace::close"));
}
