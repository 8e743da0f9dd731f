//! The page of the formats says what the encoders say.

#[test]
fn the_layouts_in_the_format_page_are_those_beside_the_encoders() {
    let fresh = xtask::pictures::is_fresh(&xtask::repository_root()).expect("the page and its sources can be read");
    assert!(fresh, "docs/FORMAT.md is stale: run `cargo xtask layouts`");
}
