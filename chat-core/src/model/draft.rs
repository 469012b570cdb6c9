//! What a client sends, and how it is checked before it becomes a message.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Attachment, ClientId, Message, MessageId, MessageKind, Metadata, UserId};
use crate::{Invalid, Limits, Timestamp};

/// What a client sends. [`Draft::check`] turns it into a [`Draft`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewMessage {
    /// Idempotency key, unique per sender and conversation: a retry with the same content answers
    /// with the first message. Required of clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// What it is. Defaults to `text`.
    #[serde(default)]
    pub kind: MessageKind,
    /// The text. May be absent where there are attachments or the kind is custom.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The message that this one answers, of the same conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// Users mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
    /// Files, as references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Free attributes.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl NewMessage {
    /// A text message.
    pub fn text(body: impl Into<String>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// Sets the idempotency key.
    #[must_use]
    pub fn with_client_id(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }

    /// Sets the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: MessageKind) -> Self {
        self.kind = kind;
        self
    }

    /// The hash of the content as it came in, which tells a retry from a reused key. The key itself is left out.
    pub fn content_hash(&self) -> ContentHash {
        let keyless = Self { client_id: None, ..self.clone() };
        // A struct of strings, numbers and maps with text keys always serialises.
        let json = serde_json::to_vec(&keyless).unwrap_or_default();
        ContentHash(Sha256::digest(&json).into())
    }
}

/// SHA-256 over a message's content as it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentHash(pub [u8; 32]);

/// A message's content, checked against every limit and ready to be appended. Written out and read back
/// it is not checked again: only a store that carries it between processes does that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Draft {
    message: NewMessage,
}

impl Draft {
    /// Checks the content. `by_host` allows the kind `system`.
    ///
    /// # Errors
    /// [`Invalid`] names the first field that breaks a limit.
    pub fn check(mut message: NewMessage, by_host: bool, limits: &Limits) -> Result<Self, Invalid> {
        if let MessageKind::Custom(name) = &message.kind {
            check_name("kind", name, limits.name_bytes)?;
        }
        if message.kind == MessageKind::System && !by_host {
            return Err(Invalid::new("kind", "only the host sends system messages"));
        }
        let needs_body = message.attachments.is_empty()
            && matches!(message.kind, MessageKind::Text | MessageKind::System);
        check_body(&message.body, needs_body, limits)?;
        if message.attachments.is_empty()
            && matches!(message.kind, MessageKind::Image | MessageKind::File)
        {
            return Err(Invalid::new("attachments", "an image or file needs an attachment"));
        }
        check_attachments(&message.attachments, limits)?;
        check_mentions(&mut message.mentions, limits)?;
        message.metadata.check("metadata", limits.metadata_bytes)?;
        Ok(Self { message })
    }

    /// The content.
    pub fn message(&self) -> &NewMessage {
        &self.message
    }

    /// Gives the content away.
    pub fn into_message(self) -> NewMessage {
        self.message
    }
}

/// New content for a message. What is absent stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessageEdit {
    /// The new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The users mentioned now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Vec<UserId>>,
    /// The files now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Attachment>>,
    /// The metadata now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// A checked [`MessageEdit`]. Written out and read back it is not checked again, as with [`Draft`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DraftEdit(MessageEdit);

impl DraftEdit {
    /// Checks the new content.
    ///
    /// # Errors
    /// [`Invalid`] names the first field that breaks a limit.
    pub fn check(mut edit: MessageEdit, limits: &Limits) -> Result<Self, Invalid> {
        if edit == MessageEdit::default() {
            return Err(Invalid::new("body", "an edit must change something"));
        }
        if let Some(body) = &edit.body {
            check_body(body, false, limits)?;
        }
        if let Some(attachments) = &edit.attachments {
            check_attachments(attachments, limits)?;
        }
        if let Some(mentions) = &mut edit.mentions {
            check_mentions(mentions, limits)?;
        }
        if let Some(metadata) = &edit.metadata {
            metadata.check("metadata", limits.metadata_bytes)?;
        }
        Ok(Self(edit))
    }

    /// Applies the edit and stamps it; says whether anything changed. An edit that would leave
    /// nothing to show changes nothing.
    pub fn apply(&self, message: &mut Message, now: Timestamp) -> bool {
        let mut next = self.applied(message);
        if next == *message || is_blank(&next) {
            return false;
        }
        next.edited_at = Some(now);
        *message = next;
        true
    }

    /// Whether the edit would leave nothing to show.
    pub fn blanks(&self, message: &Message) -> bool {
        is_blank(&self.applied(message))
    }

    fn applied(&self, message: &Message) -> Message {
        let edit = &self.0;
        let mut next = message.clone();
        if let Some(body) = &edit.body {
            next.body.clone_from(body);
        }
        if let Some(mentions) = &edit.mentions {
            next.mentions.clone_from(mentions);
        }
        if let Some(attachments) = &edit.attachments {
            next.attachments.clone_from(attachments);
        }
        if let Some(metadata) = &edit.metadata {
            next.metadata.clone_from(metadata);
        }
        next
    }
}

fn is_blank(message: &Message) -> bool {
    message.body.trim().is_empty()
        && message.attachments.is_empty()
        && !matches!(message.kind, MessageKind::Custom(_))
}

/// Checks a short text: not blank, bounded, no control characters.
pub(crate) fn check_name(field: &'static str, text: &str, max: usize) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(field, "must not be empty"));
    }
    if text.len() > max {
        return Err(Invalid::new(field, format!("must be at most {max} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, "must not contain control characters"));
    }
    Ok(())
}

fn check_body(body: &str, required: bool, limits: &Limits) -> Result<(), Invalid> {
    if body.len() > limits.body_bytes {
        return Err(Invalid::new("body", format!("must be at most {} bytes", limits.body_bytes)));
    }
    if body.contains('\0') {
        return Err(Invalid::new("body", "must not contain NUL characters"));
    }
    let blank = body.trim().is_empty();
    if blank && (required || !body.is_empty()) {
        return Err(Invalid::new("body", "must not be blank"));
    }
    Ok(())
}

fn check_attachments(attachments: &[Attachment], limits: &Limits) -> Result<(), Invalid> {
    if attachments.len() > limits.attachments {
        let reason = format!("must be at most {}", limits.attachments);
        return Err(Invalid::new("attachments", reason));
    }
    for (index, attachment) in attachments.iter().enumerate() {
        check_attachment(attachment, limits).map_err(|invalid| {
            Invalid::new(format!("attachments[{index}].{}", invalid.field), invalid.reason)
        })?;
    }
    Ok(())
}

fn check_attachment(attachment: &Attachment, limits: &Limits) -> Result<(), Invalid> {
    check_name("url", &attachment.url, limits.url_bytes)?;
    // A script address in a link would run in every reader's page that forgets to look.
    let scheme = attachment.url.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(scheme.as_str(), "javascript" | "vbscript" | "data") {
        return Err(Invalid::new("url", "must be a link to a file, not a script or inline data"));
    }
    if let Some(name) = &attachment.name {
        check_name("name", name, limits.name_bytes)?;
    }
    if let Some(media_type) = &attachment.media_type {
        check_name("media_type", media_type, limits.name_bytes)?;
    }
    // JavaScript reads numbers exactly up to 2^53 - 1, and databases to i64.
    if attachment.size.is_some_and(|size| size >= 1 << 53) {
        return Err(Invalid::new("size", "must be below 2^53"));
    }
    Ok(())
}

fn check_mentions(mentions: &mut Vec<UserId>, limits: &Limits) -> Result<(), Invalid> {
    let mut seen = std::collections::HashSet::new();
    mentions.retain(|user| seen.insert(user.clone()));
    if mentions.len() > limits.mentions {
        return Err(Invalid::new("mentions", format!("must be at most {}", limits.mentions)));
    }
    Ok(())
}
