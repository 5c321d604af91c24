//! The room as a whole, over made-up directories.

use super::*;
use crate::subject::tests::captured::Captured;

fn page(machine: &Captured, dirs: &[&str]) -> (String, Vec<String>) {
    let dirs: Vec<String> = dirs
        .iter()
        .map(|d| machine.path(d).display().to_string())
        .collect();
    let flags: Vec<_> = dirs
        .iter()
        .map(|d| ("textfile.directory", d.as_str()))
        .collect();
    machine.page::<Textfile>(&flags)
}

#[test]
fn without_directories_there_is_no_error() {
    let (page, errors) = page(&Captured::new(&[]), &[]);
    assert_eq!(page, "node_textfile_scrape_error 0\n");
    assert!(errors.is_empty());
}

#[test]
fn a_wrong_file_costs_itself_and_is_told_with_its_line() {
    let machine = Captured::new(&[
        (
            "text/a.prom",
            "# TYPE jobs_total counter\njobs_total{job=\"a\"} 1\n",
        ),
        ("text/b.prom", "jobs_total{job=\"b\"} 1\nhalf 1"),
        ("text/c.prom", "stamped 1 1700000000000\n"),
        ("text/d.txt", "nonsense"),
        ("text/e.prom", "alone 5\n"),
        ("text/f.prom/x", ""),
        ("text/g.prom", "->gone"),
    ]);
    let (page, errors) = page(&machine, &["text", "none"]);
    assert!(
        page.contains("jobs_total{job=\"a\"} 1\n") && page.contains("alone 5\n"),
        "{page}"
    );
    assert!(!page.contains("half") && !page.contains("stamped") && !page.contains("job=\"b\""));
    assert!(page.contains("node_textfile_scrape_error 1\n"));
    assert_eq!(page.matches("node_textfile_mtime_seconds{").count(), 2);
    assert_eq!(errors.len(), 5, "{errors:?}");
    assert!(
        errors[0].contains("b.prom: line 2: the file ends within a line"),
        "{errors:?}"
    );
}

#[test]
fn families_of_several_files_are_put_together_if_they_agree() {
    let machine = Captured::new(&[
        (
            "a/1.prom",
            "# HELP x Same\nx{n=\"1\"} 1\nnohelp{n=\"1\"} 1\n# TYPE kind gauge\nkind 1\n",
        ),
        (
            "b/2.prom",
            "# HELP x Same\nx{n=\"1\"} 2\nx{n=\"2\",m=\"3\"} 2\nnohelp{n=\"2\"} 1\nkind 2\n",
        ),
        ("b/3.prom", "# HELP x Other\nx{n=\"4\"} 4\n"),
        ("b/4.prom", "# HELP x Same\nx{n=\"5\"} 5\n"),
        (
            "b/5.prom",
            "nodeward_up 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 2.5\nh_count 3\nh_count_total 1\n",
        ),
        ("b/6.prom", "h_count 4\n"),
    ]);
    let (page, errors) = page(&machine, &["[ab]"]);
    for line in [
        "x{n=\"1\"} 1\n",
        "x{m=\"3\",n=\"2\"} 2\n",
        "nohelp{n=\"1\"} 1\n",
        "nohelp{n=\"2\"} 1\n",
        "kind 1\n",
        "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 2.5\nh_count 3\n",
        "h_count_total 1\n",
        "node_textfile_scrape_error 1\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
    for none in ["n=\"4\"", "n=\"5\"", "kind 2", "nodeward_up", "h_count 4"] {
        assert!(!page.contains(none), "{none}");
    }
    // x of 3 and 4, kind, h_count, nodeward_up, and x{n="1"}, which with an empty m is the same series.
    assert_eq!(errors.len(), 6, "{errors:?}");
}
