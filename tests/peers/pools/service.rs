//! A small web service that runs as a unit: the program of these tests itself, started with [`VERB`].
//!
//! It has a directory of its own. `log` there has a line for each start and each request, with its time; while there is a file `ill`,
//! `/healthz` fails, and a start ends that, but for one that says `stays`; one called `dies` has how many milliseconds each process lives.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Error, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::haproxy::web::request;

/// The first argument of a process that is to serve; then come its name, its port and its directory.
pub const VERB: &str = "serve-web";

/// How long a download takes, in parts.
const PARTS: usize = 20;
const PART: Duration = Duration::from_millis(100);

/// Serves, if that is what this process was started for.
pub fn asked() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, verb, name, port, home] = arguments.as_slice() else {
        return None;
    };
    (verb == VERB).then(|| match serve(name, port, Path::new(home)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(note(Path::new(home), &error.to_string()));
            ExitCode::FAILURE
        }
    })
}

/// Milliseconds since the epoch.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis().try_into().unwrap_or(u64::MAX))
}

fn note(home: &Path, what: &str) -> Result<()> {
    let mut log = OpenOptions::new();
    let mut file: File = log.append(true).create(true).open(home.join("log"))?;
    file.write_all(format!("{} {what}\n", now()).as_bytes())
}

fn serve(name: &str, port: &str, home: &Path) -> Result<()> {
    note(home, "start")?;
    let ill = home.join("ill");
    if std::fs::read_to_string(&ill).is_ok_and(|why| why != "stays") {
        std::fs::remove_file(&ill)?;
    }
    if let Ok(after) = std::fs::read_to_string(home.join("dies")) {
        let after = after.trim().parse().map_err(Error::other)?;
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(after));
            std::process::exit(1)
        });
    }
    let port: u16 = port.parse().map_err(Error::other)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    for stream in listener.incoming().flatten() {
        let (name, home) = (name.to_owned(), home.to_owned());
        // A client that leaves ends its thread.
        thread::spawn(move || drop(answer(stream, &name, &home)));
    }
    Ok(())
}

fn answer(stream: TcpStream, name: &str, home: &Path) -> Result<()> {
    let mut out = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let Some(request) = request(&mut reader)? else {
            return Ok(());
        };
        let path = request.split(' ').nth(1).unwrap_or_default();
        if path == "/healthz" {
            let status = match home.join("ill").exists() {
                true => "500 Ill",
                false => "200 OK",
            };
            write!(out, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        }
        note(home, path)?;
        let parts = if path == "/download" { PARTS } else { 1 };
        let length = parts * name.len();
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
        out.write_all(name.as_bytes())?;
        for _ in 1..parts {
            thread::sleep(PART);
            out.write_all(name.as_bytes())?;
        }
        if parts > 1 {
            note(home, "/download was whole")?;
        }
    }
}
