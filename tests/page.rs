//! Pages in a real browser: what it shows, what it complains of, whether it can be read.
//!
//! Without a Chromium these tests pass with a word, unless `CONBENCH_REQUIRE_CHROMIUM` is set.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use conbench::internal::analyze::{Status, analyze};
use conbench::internal::cheatsheet::catalogue::{Language, Section, catalogue};
use conbench::record::Record;
use rustix::process::{Pid, Signal, kill_process_group};

/// A record that was really measured.
const SAMPLE: &str = "reports/web-scraping.json";
/// Names that browsers know. `CONBENCH_CHROMIUM` names another.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// No test waits longer for a browser, so that none can hang.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    Light,
    Dark,
}

/// A browser, and a directory of a test's own.
struct Browser {
    program: PathBuf,
    directory: tempfile::TempDir,
}

/// What a browser wrote.
struct Shown {
    dom: String,
    log: String,
}

impl Browser {
    /// The browser of this host; none where none is required.
    fn find() -> Option<Browser> {
        let named = std::env::var_os("CONBENCH_CHROMIUM").map(PathBuf::from);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = |name: &&str| std::env::split_paths(&path).map(|it| it.join(name)).find(|it| it.is_file());
        let found = named.or_else(|| NAMES.iter().find_map(on_path));
        let required = std::env::var_os("CONBENCH_REQUIRE_CHROMIUM").is_some();
        assert!(found.is_some() || !required, "no Chromium is on PATH, and CONBENCH_REQUIRE_CHROMIUM is set");
        if found.is_none() {
            skipped();
        }
        Some(Browser { program: found?, directory: tempfile::tempdir().expect("a directory") })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The page of a record, as the binary writes it.
    fn page(&self, record: &Path, name: &str) -> String {
        let path = self.path(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
        command.arg("report").arg(record).arg("--html").arg(&path).stdin(Stdio::null());
        let output = command.output().expect("the binary starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read_to_string(path).expect("the page")
    }

    /// Opens a file and gives the document that it has become, with what the browser logged.
    fn open(&self, file: &Path, theme: Theme) -> Shown {
        self.run(file, theme, &["--dump-dom".to_owned()])
    }

    /// Opens a file as a picture, so many pixels wide and high.
    fn picture(&self, file: &Path, theme: Theme, (width, height): (u32, u32)) -> Vec<u8> {
        let path = self.path(&format!("{theme:?}-{width}.png"));
        let size = format!("--window-size={width},{height}");
        self.run(file, theme, &[size, format!("--screenshot={}", path.display())]);
        fs::read(path).expect("the picture")
    }

    fn run(&self, file: &Path, theme: Theme, options: &[String]) -> Shown {
        let profile = tempfile::tempdir_in(self.directory.path()).expect("a directory");
        let (out, log) = (profile.path().join("out"), profile.path().join("log"));
        let mut command = Command::new(&self.program);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
        command.args(["--enable-logging=stderr", "--force-device-scale-factor=1", "--disable-dev-shm-usage"]);
        command.arg(format!("--user-data-dir={}", profile.path().join("profile").display()));
        // 0 is dark, 1 is light.
        command.arg(format!("--blink-settings=preferredColorScheme={}", u8::from(theme == Theme::Light)));
        command.args(options).arg(format!("file://{}", file.display()));
        command.stdin(Stdio::null()).stdout(fs::File::create(&out).expect("a file"));
        command.stderr(fs::File::create(&log).expect("a file")).process_group(0);
        let mut child = command.spawn().expect("the browser starts");
        let began = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().expect("its status") {
                break Some(status);
            }
            if began.elapsed() > PATIENCE {
                break None;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        // Whatever it left behind; that nothing is left is no fault.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let _ = child.wait();
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("the file")).into_owned();
        let shown = Shown { dom: read(&out), log: read(&log) };
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}: {}", shown.log);
        shown
    }

    /// What a script that stands beside the page, not in it, finds when it reads the page as shown at this width.
    fn inspect(&self, page: &str, theme: Theme, width: u32) -> serde_json::Value {
        let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
        let harness =
            include_str!("fixtures/page/inspect.html").replace("WIDTH", &width.to_string()).replace("PAGE", &escaped);
        let path = self.path(&format!("inspect-{theme:?}-{width}.html"));
        fs::write(&path, harness).expect("written");
        let shown = self.open(&path, theme);
        let found = shown.dom.split("<pre id=\"found\">").nth(1).and_then(|it| it.split("</pre>").next());
        let found = found.unwrap_or_else(|| panic!("nothing was found: {}", shown.log));
        let text = found.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}; {}", shown.log))
    }
}

fn skipped() {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "skipped: no Chromium is on PATH; `.ci/run` installs one"));
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(SAMPLE)
}

fn record() -> Record {
    conbench::record::read(&sample()).expect("the sample").records.remove(0)
}

/// The lines that a page's console got.
fn complaints(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("CONSOLE")).collect()
}

/// The figure with this id, in a document.
fn figure<'a>(dom: &'a str, id: &str) -> &'a str {
    let from = dom.find(&format!("<figure id=\"{id}\"")).unwrap_or_else(|| panic!("no figure `{id}`"));
    dom[from..].split("</figure>").next().expect("its end")
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn a_browser_shows_every_mark_and_complains_of_nothing() {
    let Some(browser) = Browser::find() else { return };
    browser.page(&sample(), "page.html");
    let shown = browser.open(&browser.path("page.html"), Theme::Light);
    assert_eq!(complaints(&shown.log), Vec::<&str>::new());
    let record = record();
    let verdict = analyze(&record);
    let group = &verdict.groups[0];
    let dom = &shown.dom;
    let sound = group.rows.iter().filter(|row| !matches!(row.status, Status::Failed { .. }));
    let models: std::collections::BTreeSet<_> = sound.map(|row| row.candidate.model()).collect();
    assert_eq!(count(figure(dom, "models-1"), "class=\"mark "), models.len());
    assert_eq!(count(figure(dom, "models-1"), "class=\"interval\""), models.len());
    let points: usize = group.curves.iter().map(|curve| curve.points.len()).sum();
    assert_eq!(count(figure(dom, "scaling-1"), "<circle"), points);
    assert_eq!(
        count(figure(dom, "scaling-1"), "class=\"knee\""),
        group.curves.iter().filter(|curve| curve.knee.is_some()).count()
    );
    let raced = record.candidates.iter().filter(|place| place.blocks.iter().any(|block| block.round.is_some()));
    assert_eq!(count(figure(dom, "race-1"), "class=\"blocks m-"), raced.count());
}

#[test]
fn the_policy_is_in_force() {
    let Some(browser) = Browser::find() else { return };
    let page = browser.page(&sample(), "page.html");
    let tampered =
        page.replace("</main>", "<script>document.title = 'run'</script><p style=\"color: red\">red</p></main>");
    fs::write(browser.path("tampered.html"), tampered).expect("written");
    let shown = browser.open(&browser.path("tampered.html"), Theme::Light);
    assert!(complaints(&shown.log).iter().any(|line| line.contains("Content Security Policy")), "{}", shown.log);
    assert!(!shown.dom.contains("<title>run</title>"), "the script did not run");
}

#[test]
fn everything_can_be_read_in_both_themes_and_at_both_widths() {
    let Some(browser) = Browser::find() else { return };
    let page = browser.page(&sample(), "page.html");
    let mut papers = Vec::new();
    for (theme, width) in [(Theme::Light, 390), (Theme::Light, 1000), (Theme::Dark, 390), (Theme::Dark, 1000)] {
        let found = browser.inspect(&page, theme, width);
        assert_eq!(found["faults"], serde_json::json!([]), "{theme:?} at {width}");
        assert!(found["texts"].as_u64() > Some(100) && found["marks"].as_u64() > Some(30), "{found}");
        papers.push(found["paper"].as_f64().expect("a luminance"));
    }
    assert!(papers[..2].iter().all(|it| *it > 0.8) && papers[2..].iter().all(|it| *it < 0.05), "{papers:?}");
    let sizes = [(390, 900), (1000, 900)];
    for size in sizes {
        let (light, dark) = (
            browser.picture(&browser.path("page.html"), Theme::Light, size),
            browser.picture(&browser.path("page.html"), Theme::Dark, size),
        );
        for picture in [&light, &dark] {
            assert_eq!(picture[16..24], [size.0.to_be_bytes(), size.1.to_be_bytes()].concat());
        }
        assert_ne!(light, dark);
    }
}

#[test]
fn hostile_names_are_shown_and_not_obeyed() {
    let Some(browser) = Browser::find() else { return };
    let text = fs::read_to_string(sample()).expect("the sample");
    let mut recording: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let hostile = format!("<script>document.title='run'</script>\u{202e}{}", "x".repeat(100));
    let record = &mut recording["records"][0];
    record["workload"]["name"] = hostile.as_str().into();
    record["workload"]["description"] = "<img src=x onerror=alert(1)>".into();
    record["host"]["cpu"] = hostile.as_str().into();
    let path = browser.path("hostile.json");
    fs::write(&path, recording.to_string()).expect("written");
    let page = browser.page(&path, "hostile.html");
    let shown = browser.open(&browser.path("hostile.html"), Theme::Light);
    assert_eq!(complaints(&shown.log), Vec::<&str>::new(), "nothing was even tried");
    assert!(shown.dom.contains("&lt;script&gt;") && !shown.dom.contains("<script"), "it is text");
    assert!(!shown.dom.contains('\u{202e}') && shown.dom.contains("\\u{202e}"), "nothing turns the text");
    let found = browser.inspect(&page, Theme::Light, 390);
    assert_eq!(found["faults"], serde_json::json!([]), "a hundred characters fit on a phone");
}

#[test]
fn the_pages_of_all_stored_records_can_be_read() {
    let Some(browser) = Browser::find() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    for name in
        ["web-scraping.json", "parse.json", "parallel-computation.json", "choosing.json.gz", "cheatsheet-quick.json"]
    {
        let page = browser.page(&root.join(name), "page.html");
        let shown = browser.open(&browser.path("page.html"), Theme::Dark);
        assert_eq!(complaints(&shown.log), Vec::<&str>::new(), "{name}");
        for (theme, width) in [(Theme::Light, 390), (Theme::Dark, 1000)] {
            let found = browser.inspect(&page, theme, width);
            assert_eq!(found["faults"], serde_json::json!([]), "{name}: {theme:?} at {width}");
        }
    }
}

#[test]
fn the_sheet_has_every_item_and_can_be_read_everywhere() {
    let Some(browser) = Browser::find() else { return };
    let (path, saved) = (browser.path("sheet.html"), browser.path("sheet.json"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.args(["cheatsheet", "--quick", "--repetitions", "2", "--format", "html"]).arg("--html").arg(&path);
    command.arg("--output").arg(&saved).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null());
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(&path).expect("the page");
    assert_eq!(String::from_utf8_lossy(&output.stdout), page, "the same sheet, the same bytes");
    let shown = browser.open(&path, Theme::Light);
    assert_eq!(complaints(&shown.log), Vec::<&str>::new());
    let sheet: serde_json::Value = serde_json::from_slice(&fs::read(&saved).expect("the sheet")).expect("JSON");
    let languages: Vec<Language> = serde_json::from_value(
        sheet["sheet"]["runtimes"].as_array().expect("runtimes").iter().map(|it| it["language"].clone()).collect(),
    )
    .expect("languages");
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut figures = 0;
    for language in [Language::Python, Language::Rust].into_iter().filter(|language| languages.contains(language)) {
        let all = catalogue(language, &Section::ALL).expect("a legal file");
        for item in &all.items {
            assert!(shown.dom.contains(&format!("<code>{}</code>", escaped(&item.code))), "{}", item.id);
            let source = item.quoted.as_ref().map(|quoted| format!("href=\"{}\"", quoted.source));
            assert!(source.is_none_or(|source| shown.dom.contains(&source)), "{}", item.id);
        }
        for pitfall in &all.pitfalls {
            assert!(shown.dom.contains(&format!("-{}\"", pitfall.id)), "{}", pitfall.id);
        }
    }
    for timed in sheet["sheet"]["items"].as_array().expect("items") {
        figures += usize::from(timed["figure"].is_object());
    }
    assert_eq!(count(&shown.dom, "class=\"interval\""), figures, "a mark with its interval for each figure");
    for (theme, width) in [(Theme::Light, 390), (Theme::Light, 1000), (Theme::Dark, 390), (Theme::Dark, 1000)] {
        let found = browser.inspect(&page, theme, width);
        assert_eq!(found["faults"], serde_json::json!([]), "{theme:?} at {width}");
        assert!(found["marks"].as_u64() > Some(100), "{found}");
    }
}
