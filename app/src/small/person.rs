//! Errands about one contact: renaming, blocking, comparing words.

use super::*;

impl Errand<'_> {
    pub(super) fn person(&mut self, name: &str, change: PersonChange) -> Result<(), Failure> {
        let contacts = self.net.contacts()?;
        let contact = contacts.iter().find(|contact| contact.name == name);
        let id = contact.ok_or(ChannelError::NoContact)?.id;
        if change == PersonChange::CompareWords {
            return self.compare(id, name);
        }
        let do_differ = match change {
            PersonChange::WordsMatch => Some(false),
            PersonChange::WordsDiffer => Some(true),
            _ => None,
        };
        self.net.command(ChannelCommand::Person {
            contact: id,
            change,
        })?;
        let changed = |event| match event {
            ChannelEvent::ContactChanged { contact } if contact.id == id => Some(contact),
            _ => None,
        };
        let contact = until(&self.events, Wish::Person(id), Some(PATIENCE), changed)?;
        if let Some(do_differ) = do_differ {
            self.remember(&contact.short_id, do_differ)?;
        }
        let report = self.remembered(&contact);
        self.tell(&report)
    }

    /// A contact with what the profile remembers of it. What cannot be read is told by the next program on the profile.
    pub(super) fn remembered(&self, contact: &hullo_signalling::channel::Contact) -> Report {
        let settings = self.memory.read().unwrap_or_default();
        let do_differ = !contact.verified && settings.words_differ.contains(&contact.short_id);
        Report::contact(&people::contact(contact), do_differ)
    }

    fn remember(&self, short_id: &str, do_differ: bool) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::other(people::sentence(&format!(
                "this is not remembered: {error}"
            )))
        };
        let mut settings = self.memory.read().map_err(|error| failed(&error))?;
        if settings.set_words_differ(short_id, do_differ) {
            (self.memory.write(&settings)).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Twelve words at once, four when the other program answers, then the user's verdict.
    pub(super) fn compare(&mut self, contact: ContactId, name: &str) -> Result<(), Failure> {
        let change = PersonChange::CompareWords;
        self.net
            .command(ChannelCommand::Person { contact, change })?;
        let wish = Wish::Person(contact);
        let safety = until(&self.events, wish, Some(PATIENCE), |event| match event {
            ChannelEvent::SafetyWords { words, .. } => Some(words.join(" ")),
            _ => None,
        })?;
        self.tell(&Report::Words {
            name: name.to_owned(),
            safety: Some(safety),
            words: None,
        })?;
        let now = until(&self.events, wish, Some(PATIENCE), |event| match event {
            ChannelEvent::WordsReady { contact: of, words } if of == contact => {
                Some(words.join(" "))
            }
            _ => None,
        });
        match now {
            Ok(words) => self.tell(&Report::Words {
                name: name.to_owned(),
                safety: None,
                words: Some(words),
            })?,
            Err(_) => {
                let text = text::words_alone(name);
                self.tell(&Report::Notice { text })?;
            }
        }
        let text = text::WORDS_QUESTION.to_owned();
        self.tell(&Report::Notice { text })?;
        match verdict() {
            Some(change) => self.person(name, change),
            None => Ok(()),
        }
    }
}

/// What the user says of the words, as the first line of stdin that says anything.
pub(super) fn verdict() -> Option<PersonChange> {
    let stdin = std::io::BufReader::new(std::io::stdin().take(LINK_BYTES_MAX));
    let mut lines = std::io::BufRead::lines(stdin).map_while(Result::ok);
    lines.find_map(|line| match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" | "same" => Some(PersonChange::WordsMatch),
        "n" | "no" | "differ" | "different" => Some(PersonChange::WordsDiffer),
        _ => None,
    })
}

/// The same through the program that owns the profile.
pub(super) fn pass_on_person(
    folder: &std::path::Path,
    name: &str,
    change: &PersonChange,
    front: &mut dyn Front,
) -> Result<(), Failure> {
    let command = match change {
        PersonChange::Rename(new) => {
            let request = json!({ "command": "rename", "name": name, "to": new });
            return ask(folder, &request, front);
        }
        PersonChange::Block => "block",
        PersonChange::Unblock => "unblock",
        PersonChange::CompareWords => "words",
        PersonChange::WordsMatch => "same",
        PersonChange::WordsDiffer => "differ",
    };
    ask(folder, &json!({ "command": command, "name": name }), front)?;
    if *change != PersonChange::CompareWords {
        return Ok(());
    }
    let text = text::WORDS_QUESTION.to_owned();
    (front.report(0, &Report::Notice { text })).map_err(|_| nobody_reads())?;
    match verdict() {
        Some(change) => pass_on_person(folder, name, &change, front),
        None => Ok(()),
    }
}
