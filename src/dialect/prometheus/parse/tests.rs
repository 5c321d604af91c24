use super::families::families;
use super::page::Scraped;
use super::*;

fn why(text: &str) -> String {
    match families(text.as_bytes()) {
        Ok(families) => format!("{families:?}"),
        Err((line, why)) => format!("{line}: {why}"),
    }
}

#[test]
fn families_have_types_help_and_the_labels_of_all_their_series() {
    let text = "# a comment\n\n# HELP a_total What \\\\ it\\nis\n# TYPE a_total COUNTER\n\
        a_total{x=\"1\"} 1e3\n  a_total { y = \"q\\\"\\n\" , } +Inf\nalone .5\n# TYPE empty gauge\n";
    let families = families(text.as_bytes()).unwrap();
    let names: Vec<_> = families.keys().collect();
    assert_eq!(names, ["a_total", "alone"]);
    let a = &families["a_total"];
    assert_eq!(
        (a.kind, a.help.as_deref()),
        (Kind::Counter, Some("What \\ it\nis"))
    );
    assert_eq!(a.series[0].labels["y"], "");
    assert_eq!(
        (a.series[1].labels["y"].as_str(), a.series[1].value),
        ("q\"\n", f64::INFINITY)
    );
    assert_eq!(
        (families["alone"].kind, families["alone"].series[0].value),
        (Kind::Untyped, 0.5)
    );
}

#[test]
fn histograms_and_summaries_are_put_together() {
    let text = "# TYPE h histogram\nh_bucket{le=\"+Inf\",a=\"b\"} 4\nh_bucket{a=\"b\",le=\"0.5\"} 1\nh_sum{a=\"b\"} 5\nh_count{a=\"b\"} 4\n\
        # TYPE s summary\ns{quantile=\"0.9\"} 2\ns{quantile=\"0.5\"} 1\ns_sum 9\ns_count 6\ns_bucket 7\n";
    let families = families(text.as_bytes()).unwrap();
    let h = &families["h"].series[0];
    assert_eq!(h.places, [(0.5, 1.0), (f64::INFINITY, 4.0)]);
    assert_eq!((h.sum, h.count), (5.0, 4.0));
    let s = &families["s"].series;
    assert_eq!(
        (s.len(), s[0].places.as_slice()),
        (1, &[(0.5, 1.0), (0.9, 2.0)][..])
    );
    assert!(families.contains_key("s_bucket"));
}

#[test]
fn a_mistake_is_told_with_its_line() {
    for (text, expected) in [
        ("a 1\nb 2", "2: the file ends within a line"),
        ("a 1 \n", "1: something stands behind the value: \"\""),
        (
            "a 1 1700000000000\n",
            "1: it has a timestamp; a textfile must have none",
        ),
        ("a 1 x\n", "1: something stands behind the value: \"x\""),
        ("a\n", "1: no number: \"\""),
        ("a 1e999\n", "1: no number: \"1e999\""),
        ("a 0x10\n", "1: no number: \"0x10\""),
        ("a 1\r\n", "1: no number: \"1\\r\""),
        ("-a 1\n", "1: invalid metric name: \"-a 1\""),
        (
            "a{b=\"c} 1\n",
            "1: no \" at the end of the value of the label b",
        ),
        ("a{b=\"c\\x\"} 1\n", "1: invalid escape in \"c\\\\x\""),
        (
            "a{b=\"c\" d=\"e\"} 1\n",
            "1: neither , nor } behind a label: \"d=\\\"e\\\"} 1\"",
        ),
        ("a{b=\"c\",b=\"d\"} 1\n", "1: label b twice"),
        (
            "a{1=\"c\"} 1\n",
            "1: invalid label name: \"1=\\\"c\\\"} 1\"",
        ),
        (
            "a{__name__=\"c\"} 1\n",
            "1: invalid label name: \"__name__=\\\"c\\\"} 1\"",
        ),
        (
            "a 1\n# TYPE a gauge\n",
            "2: a second TYPE line for a, or one after its samples",
        ),
        ("# HELP a x\n# HELP a x\n", "2: a second HELP line for a"),
        ("# TYPE a info\n", "1: unknown metric type \"info\""),
        ("# TYPE a gauge \n", "1: unknown metric type \"gauge \""),
        (
            "# TYPE h histogram\nh_count -1\n",
            "2: a histogram counts less than nothing",
        ),
        (
            "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n",
            "2: label le is no number: \"x\"",
        ),
    ] {
        assert_eq!(why(text), expected, "{text:?}");
    }
    assert!(families(b"a{b=\"\xff\"} 1\n").is_err());
    assert_eq!(why(" \t"), "{}");
}

#[test]
fn labels_that_would_multiply_are_refused() {
    let text: String = (0..3000).map(|i| format!("a{{l{i}=\"x\"}} 1\n")).collect();
    assert!(why(&text).ends_with("it has too many different labels"));
}

#[test]
fn a_page_is_told_by_what_stands_behind_the_names() {
    let text = "# HELP a_total x\n# TYPE a_total counter\na_total{y=\"2\",x=\"\\\"1\\\"\",z=\"\"} 1e3 1700000000000\na_total 4\na_total 5\n\
        # TYPE h histogram\nh_bucket{le=\"5e-1\",a=\"b\"} 1\nh_bucket{a=\"b\",le=\"+Inf\"} 4\nh_sum{a=\"b\"} 5\nh_count{a=\"b\"} 4\n\
        # TYPE s summary\ns{quantile=\"0.90\"} 2\ns_sum 9\nalone{q=\"1\"} NaN\n# TYPE empty gauge\n";
    let page = Scraped::parse(text.as_bytes()).unwrap();
    let names: Vec<_> = page.families.keys().map(String::as_str).collect();
    assert_eq!(names, ["a_total", "alone", "h", "s"]);
    let series = |name: &str| -> Vec<(&str, f64)> {
        let told = page.families[name].series.iter();
        told.map(|(key, value)| (&**key, *value)).collect()
    };
    assert_eq!(
        series("a_total"),
        [("", 4.0), ("{x=\"\\\"1\\\"\",y=\"2\"}", 1000.0)]
    );
    assert_eq!(
        series("h"),
        [
            ("_bucket{a=\"b\",le=\"0.5\"}", 1.0),
            ("_bucket{a=\"b\",le=\"inf\"}", 4.0),
            ("_count{a=\"b\"}", 4.0),
            ("_sum{a=\"b\"}", 5.0),
        ]
    );
    assert_eq!(series("s"), [("_sum", 9.0), ("{quantile=\"0.9\"}", 2.0)]);
    let labels: Vec<_> = page.families["h"].labels.iter().collect();
    assert_eq!(labels, ["a"]);
    assert_eq!(page.families["alone"].kind, None);
    assert_eq!(page.series(), 9);
}

#[test]
fn a_page_that_is_none_is_told_with_its_line() {
    for (text, expected) in [
        ("a 1\n<html>\n", "2: invalid metric name: \"<html>\""),
        ("a 1\nb 2", "2: the file ends within a line"),
        ("a{b=\"1\",b=\"1\"} 1\n", "1: label b twice"),
        (
            "# TYPE a gauge\n# TYPE a counter\n",
            "2: a second TYPE line for a, or one after its samples",
        ),
        (
            "a 1\n# TYPE a gauge\n",
            "2: a second TYPE line for a, or one after its samples",
        ),
    ] {
        let (line, why) = Scraped::parse(text.as_bytes()).unwrap_err();
        assert_eq!(format!("{line}: {why}"), expected);
    }
    let many: String = (0..=100_000).map(|i| format!("a{i} 1\n")).collect();
    let (line, why) = Scraped::parse(many.as_bytes()).unwrap_err();
    assert_eq!((line, why.as_str()), (100_001, "more than 100000 families"));
}
