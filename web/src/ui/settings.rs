//! Settings in the browser's storage, and parameters in the page's URL.

use leptos::prelude::{document, window};
use protocol::worker::ComputeKind;
use wasm_bindgen::JsValue;

const THEME: &str = "policy-studio.theme";
const COMPUTE: &str = "policy-studio.compute";
const KEEPS_SCORER: &str = "policy-studio.keeps-scorer";

fn read(key: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(key).ok()?
}

fn write(key: &str, value: Option<&str>) {
    // Without storage the choice is not remembered.
    if let Ok(Some(storage)) = window().local_storage() {
        match value {
            Some(value) => storage.set_item(key, value).ok(),
            None => storage.remove_item(key).ok(),
        };
    }
}

/// The viewer's choice of the compute device; `None` leaves it to the measurement.
pub(crate) fn compute() -> Option<ComputeKind> {
    match read(COMPUTE)?.as_str() {
        "cpu" => Some(ComputeKind::Cpu),
        "webgpu" => Some(ComputeKind::Webgpu),
        _ => None,
    }
}

pub(crate) fn set_compute(preference: Option<ComputeKind>) {
    write(COMPUTE, preference.map(compute_name));
}

/// Name of a kind of device in storage and in the select box.
pub(crate) fn compute_name(kind: ComputeKind) -> &'static str {
    match kind {
        ComputeKind::Cpu => "cpu",
        ComputeKind::Webgpu => "webgpu",
    }
}

/// True if files of a scorer are cached in this browser.
pub(crate) fn keeps_scorer() -> bool {
    read(KEEPS_SCORER).is_some()
}

pub(crate) fn set_keeps_scorer(keeps: bool) {
    write(KEEPS_SCORER, keeps.then_some("yes"));
}

/// Switches between light and dark, starting from the theme in use.
pub(crate) fn toggle_theme() {
    let next = if is_dark() { "light" } else { "dark" };
    if let Some(root) = document().document_element() {
        root.set_attribute("data-theme", next).ok();
    }
    write(THEME, Some(next));
}

fn is_dark() -> bool {
    let chosen = document()
        .document_element()
        .and_then(|root| root.get_attribute("data-theme"));
    match chosen.as_deref() {
        Some("dark") => true,
        Some("light") => false,
        _ => window()
            .match_media("(prefers-color-scheme: dark)")
            .ok()
            .flatten()
            .is_some_and(|query| query.matches()),
    }
}

/// True if the viewer prefers reduced motion.
pub(crate) fn prefers_reduced_motion() -> bool {
    window()
        .match_media("(prefers-reduced-motion: reduce)")
        .ok()
        .flatten()
        .is_some_and(|query| query.matches())
}

/// The base of all URLs of the studio: the page's own, or the one that the studio wrote into a page that was requested
/// under a longer path.
pub(crate) fn base() -> Option<String> {
    document().base_uri().ok()?
}

/// Moves a page that was requested under a longer path to the studio's root, to which its links are relative.
pub(crate) fn go_to_root() {
    let Ok(Some(element)) = document().query_selector("base[href]") else {
        return;
    };
    let (Some(base), Ok(history)) = (base(), window().history()) else {
        return;
    };
    let rest = |part: Result<String, JsValue>| part.unwrap_or_default();
    let location = window().location();
    let address = format!("{base}{}{}", rest(location.search()), rest(location.hash()));
    // As an absolute URL, because its base changes.
    element.set_attribute("href", &base).ok();
    history
        .replace_state_with_url(&JsValue::NULL, "", Some(&address))
        .ok();
}

/// The robot that the URL names: `?robot=…`.
pub(crate) fn robot_in_url() -> Option<String> {
    let search = window().location().search().ok()?;
    web_sys::UrlSearchParams::new_with_str(&search)
        .ok()?
        .get("robot")
}

/// Puts the robot into the page's URL, so that it can be shared.
pub(crate) fn put_robot_in_url(robot_id: &str) {
    let Ok(query) = web_sys::UrlSearchParams::new() else {
        return;
    };
    query.set("robot", robot_id);
    let query: String = query.to_string().into();
    if let Ok(history) = window().history() {
        history
            .replace_state_with_url(&JsValue::NULL, "", Some(&format!("?{query}")))
            .ok();
    }
}
