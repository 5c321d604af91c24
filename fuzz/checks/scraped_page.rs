//! Pages of other programs: whatever is in them, what was read can be written and read again.

use nodeward::dialect::prometheus::parse::page::Scraped;

/// Parses the bytes as a page.
pub fn check(bytes: &[u8]) {
    let Ok(page) = Scraped::parse(bytes) else {
        return;
    };
    let mut text = String::new();
    let mut plain = true;
    for (name, told) in &page.families {
        assert!(!told.series.is_empty());
        // A family of its own that is named as a part of another is a part once that one comes first.
        let parts = ["_sum", "_count", "_bucket"];
        plain &= !parts.iter().any(|part| name.ends_with(part));
        if let Some(kind) = told.kind {
            text.push_str(&format!("# TYPE {name} {}\n", kind.text()));
        }
        for (series, value) in &told.series {
            assert!(!series.contains('\n'));
            text.push_str(&format!("{name}{series} {value}\n"));
        }
    }
    if plain {
        let again = Scraped::parse(text.as_bytes());
        // By what is shown, since no number that is none equals another.
        assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, ()>(page)));
    }
}
