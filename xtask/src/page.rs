//! Builds the page and its worker into `dist/` from `Trunk.toml` and `static/index.html`, as trunk would.
//!
//! Trunk itself takes longer to compile than the page, because it includes a file server, a watcher and a downloader.
//! `trunk build` still works where trunk is installed.

use crate::{
    bundler::Bundler,
    document::{Link, with_links_replaced},
    steps::{cargo, root, step, target_dir},
    tools,
};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
};

const WASM_TARGET: &str = tools::WASM_TARGET;
/// The document to build, as in Trunk.toml.
const DOCUMENT: &str = "static/index.html";
const DIST: &str = "dist";
const PAGE: Package = Package {
    name: "studio-page",
    module: "studio-page.wasm",
};
/// The compute worker. `static/worker.js` loads it by this name.
const WORKER: Package = Package {
    name: "studio-worker",
    module: "studio_worker.wasm",
};
/// Smallest file that gets a compressed copy.
const COMPRESS_FROM_BYTES: u64 = 2048;
const COMPRESSIBLE: [&str; 6] = ["wasm", "js", "css", "html", "svg", "json"];
/// This code determines the built files, so a change of it requires a new build.
const BUILT_BY: [&str; 2] = [include_str!("page.rs"), include_str!("document.rs")];

/// A package that is compiled for the browser.
struct Package {
    name: &'static str,
    /// File name of the module, as cargo names it.
    module: &'static str,
}

/// A built page, on its way to a folder.
struct Build<'a> {
    folder: &'a Path,
    page: PathBuf,
    /// True if names contain a hash of the content, so that browsers may cache the files indefinitely.
    hashed: bool,
    bundler: Bundler,
}

impl Package {
    /// Compiles for the browser and returns the path of the module.
    fn compile(&self, profile: &str) -> Result<PathBuf> {
        step(
            &format!(
                "compiling {} for the browser (the first time takes several minutes)",
                self.name
            ),
            cargo()
                .args(["build", "--profile", profile, "--target", WASM_TARGET])
                .args(["--package", self.name]),
        )?;
        let folder = target_dir().join(WASM_TARGET).join(profile);
        Ok(folder.join(self.module))
    }
}

/// Builds `dist/`, unless it exists and was built from the same files.
pub(crate) fn build(force: bool) -> Result<()> {
    tools::ensure_wasm_target()?;
    let page = PAGE.compile("release")?;
    let worker = WORKER.compile("release")?;
    let dist = root().join(DIST);
    let stamp = dist.join(".built-from");
    let fingerprint = fingerprint(&[&page, &worker])?;
    if !force && fs::read_to_string(&stamp).is_ok_and(|built| built == fingerprint) {
        return Ok(());
    }
    empty(&dist)?;
    let build = Build {
        folder: &dist,
        page,
        hashed: true,
        bundler: Bundler::build()?,
    };
    build.write()?;
    build.bundler.bind(&worker, &dist, WORKER.name)?;
    build.bundler.compress(&compressible(&dist)?)?;
    fs::write(&stamp, fingerprint).with_context(|| format!("cannot write {stamp:?}"))
}

/// Builds only the page, quickly but larger and slower than the released one, with the worker of the last full build.
pub(crate) fn build_for_development() -> Result<()> {
    tools::ensure_wasm_target()?;
    let folder = target_dir().join("page-files");
    let page = PAGE.compile("page-dev")?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {folder:?}"))?;
    let build = Build {
        folder: &folder,
        page,
        hashed: false,
        bundler: Bundler::build()?,
    };
    build.write()?;
    for file in ["studio-worker.js", "studio-worker_bg.wasm"] {
        let built = root().join(DIST).join(file);
        if !built.is_file() {
            bail!("the worker has not been built yet; run `cargo xtask page` once");
        }
        copy(&built, &folder.join(file))?;
    }
    println!(
        "Serve it with\n    POLICY_STUDIO_PAGE={} policy-studio serve\nand reload the page after every `cargo xtask dev`.",
        folder.display()
    );
    Ok(())
}

impl Build<'_> {
    /// Writes everything that the document names, and the document.
    fn write(&self) -> Result<()> {
        let source = root().join(DOCUMENT);
        let document =
            fs::read_to_string(&source).with_context(|| format!("cannot read {source:?}"))?;
        let built = with_links_replaced(&document, |link| self.link(link))
            .with_context(|| format!("{DOCUMENT} cannot be built"))?;
        let path = self.folder.join("index.html");
        fs::write(&path, built).with_context(|| format!("cannot write {path:?}"))
    }

    /// Writes the file that a link names and returns the link's replacement.
    fn link(&self, link: Link<'_>) -> Result<String> {
        let href = link.attribute("href").context("a link without href")?;
        match (link.attribute("rel"), link.attribute("data-type")) {
            (Some("css"), None) => Ok(format!(
                "<link rel=\"stylesheet\" href=\"./{}\">",
                self.file(href)?
            )),
            (Some("icon"), None) => Ok(format!(
                "<link rel=\"icon\" href=\"./{}\">",
                self.file(href)?
            )),
            (Some("copy-file"), None) => {
                let from = root().join("static").join(href);
                copy(&from, &self.folder.join(href))?;
                Ok(String::new())
            }
            (Some("rust"), Some("main")) => self.start(),
            // The page starts the worker, and `build` writes it.
            (Some("rust"), Some("worker")) => Ok(String::new()),
            other => bail!("a link of an unknown kind, {other:?}, to {href}"),
        }
    }

    /// Copies a file of `static/` and returns its new name.
    fn file(&self, href: &str) -> Result<String> {
        let from = root().join("static").join(href);
        let content = fs::read(&from).with_context(|| format!("cannot read {from:?}"))?;
        let part = |part: Option<&std::ffi::OsStr>| {
            part.map(|part| part.to_string_lossy().into_owned())
                .with_context(|| format!("{href} is not a file name"))
        };
        let (stem, ending) = (part(from.file_stem())?, part(from.extension())?);
        let name = format!("{}.{ending}", self.named(&stem, &content));
        let path = self.folder.join(&name);
        fs::write(&path, content).with_context(|| format!("cannot write {path:?}"))?;
        Ok(name)
    }

    /// Writes the page's module and returns the script that starts it.
    fn start(&self) -> Result<String> {
        let content =
            fs::read(&self.page).with_context(|| format!("cannot read {:?}", self.page))?;
        let name = self.named(PAGE.name, &content);
        self.bundler.bind(&self.page, self.folder, &name)?;
        Ok(format!(
            "<link rel=\"modulepreload\" href=\"./{name}.js\" crossorigin=\"anonymous\">\
             <link rel=\"preload\" href=\"./{name}_bg.wasm\" crossorigin=\"anonymous\" as=\"fetch\" type=\"application/wasm\">\n    \
             <script type=\"module\">import init from \"./{name}.js\"; \
             await init({{ module_or_path: \"./{name}_bg.wasm\" }});</script>"
        ))
    }

    fn named(&self, stem: &str, content: &[u8]) -> String {
        if self.hashed {
            format!("{stem}-{}", hash(content))
        } else {
            stem.to_owned()
        }
    }
}

/// Hash over the modules, the names and contents of the other sources, and this code.
fn fingerprint(modules: &[&Path]) -> Result<String> {
    let mut sources = Vec::new();
    collect(&root().join("static"), &mut sources)?;
    sources.sort();
    let mut hasher = DefaultHasher::new();
    BUILT_BY.hash(&mut hasher);
    let sources = sources.iter().map(PathBuf::as_path);
    for file in modules.iter().copied().chain(sources) {
        file.file_name().hash(&mut hasher);
        fs::read(file)
            .with_context(|| format!("cannot read {file:?}"))?
            .hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
    } else if path.is_dir() {
        for entry in fs::read_dir(path).with_context(|| format!("cannot list {path:?}"))? {
            collect(&entry?.path(), files)?;
        }
    }
    Ok(())
}

/// Creates the folder, or empties it.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {folder:?}"))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {folder:?}"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {from:?} to {to:?}"))?;
    Ok(())
}

/// Files of the folder that get a compressed copy.
fn compressible(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|ending| COMPRESSIBLE.iter().any(|one| ending == *one))
            && fs::metadata(file).is_ok_and(|file| file.len() >= COMPRESS_FROM_BYTES)
    });
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn trunk_builds_from_the_same_files() {
        let trunk = fs::read_to_string(root().join("Trunk.toml")).unwrap();
        for line in [
            format!("target = \"{DOCUMENT}\""),
            format!("dist = \"{DIST}\""),
            "public_url = \"./\"".to_owned(),
        ] {
            assert!(
                trunk.lines().any(|one| one == line),
                "Trunk.toml lacks {line}"
            );
        }
    }

    #[test]
    fn the_document_names_what_the_page_is_made_of() {
        let document = fs::read_to_string(root().join(DOCUMENT)).unwrap();
        let mut kinds = Vec::new();
        let built = with_links_replaced(&document, |link| {
            let href = link.attribute("href").unwrap();
            assert!(root().join("static").join(href).is_file(), "{href}");
            kinds.push((
                link.attribute("rel").unwrap().to_owned(),
                link.attribute("data-type").map(str::to_owned),
            ));
            Ok(String::new())
        });
        assert!(!built.unwrap().contains("data-trunk"));
        for part in ["main", "worker"] {
            let kind = ("rust".to_owned(), Some(part.to_owned()));
            assert_eq!(kinds.iter().filter(|one| **one == kind).count(), 1);
        }
    }

    #[test]
    fn names_with_a_hash_follow_the_content() {
        assert_eq!(hash(b"a").len(), 16);
        assert_ne!(hash(b"a"), hash(b"b"));
    }
}
