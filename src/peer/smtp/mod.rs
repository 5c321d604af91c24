//! A client that hands a mail to a mail server: submission by SMTP (RFC 5321, 6409), with TLS from the first byte (RFC 8314) or after
//! `STARTTLS` (RFC 3207), and `AUTH PLAIN` or `LOGIN` (RFC 4954).
//!
//! Owns the commands and what the answers mean for one mail. It knows nothing of what the mail says. The surprising decision: one mail a
//! connection, and no command before the answer to the one before it: mails are few, and whoever is told waits for none of this.

mod mailbox;
mod reply;
#[cfg(test)]
mod tests;

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::model::secret::Secret;
use crate::net::connect::connect;
use crate::net::endpoint::{Place, host_name};
use crate::net::resolve::Resolver;
use crate::net::stream::Stream;
use crate::net::tls::{Connector, Refusal};

pub use mailbox::{Mailbox, NotAMailbox};
pub use reply::{Malformed, Reply};

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS before anything but a greeting is said; a server that does not offer it gets no mail.
    StartTls,
    /// Not at all.
    Plain,
}

/// A mail server, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it is.
    pub place: Place,
    /// How the connection is protected.
    pub security: Security,
    /// Whom to trust.
    pub tls: Connector,
    /// A name and its password.
    pub login: Option<(String, Secret)>,
    /// Names to addresses.
    pub resolver: Resolver,
}

/// A mail on its way.
#[derive(Debug, Clone, Copy)]
pub struct Mail<'a> {
    /// Who this machine is; anything.
    pub hello: &'a str,
    /// Whose it is.
    pub from: &'a Mailbox,
    /// Who gets it.
    pub to: &'a [&'a Mailbox],
    /// Header and body: lines that end with CR LF.
    pub content: &'a str,
}

/// What became of a mail that the server took for some of those who should get it, or for none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Who gets it, by their place among the recipients.
    pub taken: Vec<usize>,
    /// Who does not, and what the server said of him.
    pub left: Vec<(usize, Reply)>,
    /// What the server said to the mail itself, if it was sent.
    pub said: Option<Reply>,
}

/// Why the server took nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or one that broke.
    #[error("{}", told(.0))]
    Io(#[from] io::Error),
    /// What it answered is no answer.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It said no.
    #[error("it answered {} to {asked}", reply.brief())]
    Refused {
        /// The command.
        asked: &'static str,
        /// What it said.
        reply: Reply,
    },
    /// It does not speak TLS.
    #[error(
        "it offers no STARTTLS: is that the port for TLS from the first byte (smtps://), or one without TLS (require_tls: false)?"
    )]
    NoStartTls,
    /// It said more than it was asked before TLS began, which somebody in between may have put there.
    #[error("it said more in clear than it was asked before TLS began")]
    Ahead,
    /// It takes no password.
    #[error(
        "it offers neither AUTH PLAIN nor AUTH LOGIN: leave username and password_file out if it asks for none"
    )]
    NoAuth,
}

fn told(error: &io::Error) -> String {
    let refused = Refusal::of(error);
    refused.map_or_else(|| error.to_string(), |refused| refused.to_string())
}

impl Error {
    /// Whether it will say the same of this mail the next time. What is said of the connection or the login is for whoever runs the server to
    /// mend, and says nothing of the mail.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        match self {
            Self::Refused { asked, reply } => {
                reply.is_for_ever() && matches!(*asked, MAIL | DATA | CONTENT)
            }
            _ => false,
        }
    }
}

/// Names of commands in errors.
const MAIL: &str = "MAIL FROM";
const DATA: &str = "DATA";
const CONTENT: &str = "the mail";

impl Server {
    /// Hands over a mail before `deadline`.
    ///
    /// # Errors
    /// [`Error`]: nobody gets it, as far as is known.
    pub async fn send(&self, mail: &Mail<'_>, deadline: Instant) -> Result<Outcome, Error> {
        let late = |_| Error::Io(io::ErrorKind::TimedOut.into());
        let stream = connect(&self.place, deadline, &self.resolver).await?;
        timeout_at(deadline, self.speak(stream, mail))
            .await
            .map_err(late)?
    }

    async fn speak(&self, stream: Stream, mail: &Mail<'_>) -> Result<Outcome, Error> {
        let stream = match self.security {
            Security::Tls => self.protected(stream).await?,
            Security::StartTls | Security::Plain => stream,
        };
        let mut session = Session {
            stream,
            heard: Vec::new(),
        };
        session.greeted().await?;
        let mut offers = session.hello(mail.hello).await?;
        if self.security == Security::StartTls {
            if !offers.iter().any(|offer| offer == "STARTTLS") {
                return Err(Error::NoStartTls);
            }
            session.ask("STARTTLS", "STARTTLS").await?;
            if !session.heard.is_empty() {
                return Err(Error::Ahead);
            }
            session.stream = self.protected(session.stream).await?;
            offers = session.hello(mail.hello).await?;
        }
        if let Some((name, password)) = &self.login {
            session.login(&offers, name, password).await?;
        }
        let outcome = session.mail(mail).await?;
        // It has the mail, or nobody gets it: how it takes its leave changes neither.
        drop(session.stream.write_all(b"QUIT\r\n").await);
        drop(session.stream.flush().await);
        Ok(outcome)
    }

    async fn protected(&self, stream: Stream) -> io::Result<Stream> {
        let host = match &self.place {
            Place::Tcp { host, .. } => host.as_str(),
            Place::Unix(_) => "localhost",
        };
        self.tls.connect(stream, host, None).await
    }
}

/// A connection, and what came of it that is no part of an answer yet.
struct Session {
    stream: Stream,
    heard: Vec<u8>,
}

impl Session {
    async fn greeted(&mut self) -> Result<(), Error> {
        good("the connection", self.answer().await?).map(drop)
    }

    /// Says who this is; what the server offers, in capitals.
    async fn hello(&mut self, name: &str) -> Result<Vec<String>, Error> {
        let name = if host_name(name) { name } else { "localhost" };
        let reply = self.ask("EHLO", &format!("EHLO {name}")).await?;
        let offers = reply.lines.iter().skip(1);
        Ok(offers.map(|line| line.to_ascii_uppercase()).collect())
    }

    async fn login(
        &mut self,
        offers: &[String],
        name: &str,
        password: &Secret,
    ) -> Result<(), Error> {
        let offers = |mechanism: &str| {
            let mut auth = offers.iter().filter_map(|offer| {
                let (word, mechanisms) = offer.split_once([' ', '='])?;
                (word == "AUTH").then_some(mechanisms)
            });
            auth.any(|them| them.split_whitespace().any(|one| one == mechanism))
        };
        let password = password.reveal();
        if offers("PLAIN") {
            let both = STANDARD.encode(format!("\0{name}\0{password}"));
            self.ask("AUTH", &format!("AUTH PLAIN {both}")).await?;
        } else if offers("LOGIN") {
            self.ask("AUTH", "AUTH LOGIN").await?;
            self.ask("AUTH", &STANDARD.encode(name)).await?;
            self.ask("AUTH", &STANDARD.encode(password)).await?;
        } else {
            return Err(Error::NoAuth);
        }
        Ok(())
    }

    async fn mail(&mut self, mail: &Mail<'_>) -> Result<Outcome, Error> {
        self.ask(MAIL, &format!("MAIL FROM:<{}>", mail.from))
            .await?;
        let mut outcome = Outcome::default();
        for (place, to) in mail.to.iter().enumerate() {
            self.say(&format!("RCPT TO:<{to}>")).await?;
            let reply = self.answer().await?;
            match reply.code {
                // It goes away: nobody behind is asked for.
                421 => return Err(refused("RCPT TO", reply)),
                _ if reply.is_good() => outcome.taken.push(place),
                _ => outcome.left.push((place, reply)),
            }
        }
        if outcome.taken.is_empty() {
            return Ok(outcome);
        }
        let reply = self.ask(DATA, "DATA").await?;
        if reply.code != 354 {
            return Err(refused(DATA, reply));
        }
        self.stream
            .write_all(stuffed(mail.content).as_bytes())
            .await?;
        self.stream.flush().await?;
        outcome.said = Some(good(CONTENT, self.answer().await?)?);
        Ok(outcome)
    }

    async fn ask(&mut self, asked: &'static str, line: &str) -> Result<Reply, Error> {
        self.say(line).await?;
        good(asked, self.answer().await?)
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.stream
            .write_all(format!("{line}\r\n").as_bytes())
            .await?;
        self.stream.flush().await
    }

    async fn answer(&mut self) -> Result<Reply, Error> {
        let mut space = [0; 2048];
        loop {
            if let Some((reply, taken)) = Reply::read(&self.heard)? {
                self.heard.drain(..taken);
                return Ok(reply);
            }
            match self.stream.read(&mut space).await? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                read => self.heard.extend(space.iter().take(read)),
            }
        }
    }
}

fn good(asked: &'static str, reply: Reply) -> Result<Reply, Error> {
    match reply.is_good() {
        true => Ok(reply),
        false => Err(refused(asked, reply)),
    }
}

fn refused(asked: &'static str, reply: Reply) -> Error {
    Error::Refused { asked, reply }
}

/// A mail as it is sent: a line that begins with a dot gets another, and one that is a dot ends it (RFC 5321 section 4.5.2).
fn stuffed(content: &str) -> String {
    let mut sent = String::with_capacity(content.len() + 64);
    for line in content.split_inclusive("\r\n") {
        if line.starts_with('.') {
            sent.push('.');
        }
        sent.push_str(line);
    }
    if !sent.is_empty() && !sent.ends_with("\r\n") {
        sent.push_str("\r\n");
    }
    sent.push_str(".\r\n");
    sent
}
