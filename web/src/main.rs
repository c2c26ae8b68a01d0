//! The page's entry point. It only does something in a browser.

#[cfg(target_family = "wasm")]
fn main() {
    studio_page::ui::start();
}

#[cfg(not(target_family = "wasm"))]
fn main() {
    eprintln!(
        "studio-page is the studio's web page; build it with `cargo xtask page` and open it with `policy-studio serve`"
    );
}
