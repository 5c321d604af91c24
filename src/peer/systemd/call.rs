//! Method calls as messages: how they are built, and how their replies are read.

use std::sync::Arc;
use std::time::Instant;

use zbus::message::Type;
use zbus::{DynamicType, Message};

use super::Property;
use super::ask::Slot;
use super::error::Error;

const NAME: &str = "org.freedesktop.systemd1";
/// Object path of the manager, whose interface is `Manager`.
pub const ROOT: &str = "/org/freedesktop/systemd1";
pub(super) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A piece that was sent, or why parts of it were not.
pub(super) struct Pending {
    /// One entry for each call: why it was not sent.
    pub(super) refusals: Vec<Option<Error>>,
    pub(super) slot: Option<Arc<Slot>>,
}

impl Pending {
    pub(super) fn wait(self, name: &'static str, deadline: Instant) -> Vec<Result<Message, Error>> {
        let answers = self.slot.map(|slot| slot.wait(deadline));
        let (messages, failure) = answers.map_or((Vec::new(), None), |a| (a.messages, a.failure));
        let mut messages = messages.into_iter();
        let one = |refusal: Option<Error>| match (refusal, &failure) {
            (Some(error), _) => Err(error),
            (None, failure) => match (messages.next().flatten(), failure) {
                (Some(message), _) => reply(name, message),
                (None, Some(failure)) => Err(failure.clone()),
                (None, None) => Err(Error::Late { call: name }),
            },
        };
        self.refusals.into_iter().map(one).collect()
    }
}

pub(super) fn get(wanted: &Property<'_>) -> Result<Message, Error> {
    build(
        wanted.path,
        PROPERTIES,
        "Get",
        &(whole(wanted.interface).as_str(), wanted.name),
    )
}

/// `Service` as `org.freedesktop.systemd1.Service`; a name with a dot as it is.
pub(super) fn whole(interface: &str) -> String {
    if interface.contains('.') {
        interface.to_owned()
    } else {
        format!("{NAME}.{interface}")
    }
}

pub(super) fn build<B>(
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message, Error>
where
    B: serde::Serialize + DynamicType,
{
    Message::method_call(path, method)
        .destination(NAME)
        .interface(interface)
        .build(body)
        .map_err(|_| Error::Name { name: path.into() })
}

/// The reply, or the error systemd or the bus answered with.
pub(super) fn reply(call: &'static str, message: Message) -> Result<Message, Error> {
    if message.message_type() != Type::Error {
        return Ok(message);
    }
    let name = message
        .header()
        .error_name()
        .map(ToString::to_string)
        .unwrap_or_default();
    let text = message
        .body()
        .deserialize::<&str>()
        .unwrap_or_default()
        .into();
    Err(Error::Refused {
        call,
        name: name.into(),
        text,
    })
}

pub(super) fn unexpected(call: &'static str, why: &zbus::Error) -> Error {
    Error::Unexpected {
        call,
        why: why.to_string().into(),
    }
}
