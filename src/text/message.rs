//! What to say to a person: a Fluent key and its arguments, so that rooms explain themselves without knowing a language.

/// A message of the locale files, ready to be put into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message's identifier, such as `text-error-too-long`.
    pub key: &'static str,
    /// Its arguments as (name, value).
    pub args: Vec<(&'static str, String)>,
}

impl Message {
    /// A message without arguments.
    #[must_use]
    pub fn plain(key: &'static str) -> Self {
        Self { key, args: Vec::new() }
    }

    /// This message with one more argument.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.args.push((name, value.to_string()));
        self
    }
}

/// Can be explained to a person, in any language.
pub trait Explain {
    /// The message that explains it.
    fn message(&self) -> Message;
}

/// Fails unless both languages have the message and use no argument that it does not carry.
#[cfg(test)]
pub(crate) fn assert_spoken(explained: &dyn Explain) {
    use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};

    const LOCALES: [(&str, [&str; 2]); 2] = [
        (
            "ja",
            [include_str!("../../assets/locales/ja/text.ftl"), include_str!("../../assets/locales/ja/deliveries.ftl")],
        ),
        (
            "en",
            [include_str!("../../assets/locales/en/text.ftl"), include_str!("../../assets/locales/en/deliveries.ftl")],
        ),
    ];
    let message = explained.message();
    for (language, files) in LOCALES {
        let mut bundle = FluentBundle::new(vec![language.parse().unwrap_or_default()]);
        for file in files {
            let resource = FluentResource::try_new(file.to_owned()).expect("the locale file parses");
            bundle.add_resource(resource).expect("no message stands twice");
        }
        let Some(pattern) = bundle.get_message(message.key).and_then(|found| found.value()) else {
            panic!("{language} has no message {}", message.key);
        };
        let args: FluentArgs<'_> = message.args.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut errors = Vec::new();
        bundle.format_pattern(pattern, Some(&args), &mut errors);
        assert!(errors.is_empty(), "{language} {}: {errors:?}", message.key);
    }
}
