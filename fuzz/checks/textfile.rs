//! Files of metrics: whatever is in them, what comes out could stand on a page.

use std::collections::BTreeSet;

use nodeward::dialect::prometheus::parse::families::families;
use nodeward::dialect::prometheus::{Kind, is_name};

/// Parses the bytes as a file of metrics.
pub fn check(bytes: &[u8]) {
    let Ok(families) = families(bytes) else {
        return;
    };
    for (name, family) in &families {
        assert!(is_name(name) && !family.series.is_empty());
        let names = |at: usize| family.series[at].labels.keys().collect::<BTreeSet<_>>();
        for (at, series) in family.series.iter().enumerate() {
            assert_eq!(names(at), names(0), "a label that not all have");
            assert!(
                series
                    .labels
                    .keys()
                    .all(|label| is_name(label) && !label.contains(':'))
            );
            let places: Vec<f64> = series.places.iter().map(|(place, _)| *place).collect();
            assert!(places.is_sorted_by(|a, b| a < b), "places out of order");
            let has_places = matches!(family.kind, Kind::Histogram | Kind::Summary);
            assert!(places.is_empty() || has_places);
        }
    }
}
