//! docs/CONFIG.md is what the types of the config say.

/// With `NODEWARD_WRITE` set, the page is written anew.
#[test]
fn the_page_about_the_config_is_the_one_in_docs() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFIG.md");
    let page = nodeward::config::page();
    if std::env::var_os("NODEWARD_WRITE").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    let there = std::fs::read_to_string(file).unwrap();
    assert!(
        there == page,
        "docs/CONFIG.md is not what the types say; \
         NODEWARD_WRITE=1 cargo test --test it generated writes it anew"
    );
}
