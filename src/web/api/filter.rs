//! Which cards of a board a list shows.

use super::{
    cards::State,
    choices,
    problem::{Fault, Problem},
};
use crate::{
    ids::{StatusId, UserId},
    store::{Read, StoreError},
    text::{Explain, TextError, fold},
    work::{self, Board, Card},
};

/// Cards that one page looks at; past it the page ends and its cursor goes on. It bounds what a rare word on a board of a
/// million cards costs.
const LOOKED_AT_MAX: usize = 2_000;
/// Bytes of text that one page looks through for words, with the same end.
const LOOKED_THROUGH_BYTES_MAX: usize = 4 << 20;
/// Characters of the words looked for.
const WORDS_CHARS_MAX: usize = 200;
/// Cards read at a time.
const BATCH: usize = 100;

/// What a card must be to be shown.
#[derive(Clone, Debug)]
pub struct Filter {
    state: State,
    status: Option<StatusId>,
    assignee: Option<UserId>,
    /// Folded; all of them must be found.
    words: Vec<String>,
}

impl Filter {
    /// A filter of its parameters.
    ///
    /// # Errors
    /// 422 for a status that the board has not and an assignee that is no id; 409 for the id of a status that is gone.
    pub fn of(
        board: &Board,
        state: State,
        status: Option<&str>,
        assignee: Option<&str>,
        q: Option<&str>,
    ) -> Result<Self, Problem> {
        let mut faults = Vec::new();
        let status = status.map(|given| choices::status(board, given, &mut faults)).transpose()?.flatten();
        let assignee =
            assignee.and_then(|given| given.parse().map_err(|_| faults.push(Fault::unknown("assignee", given))).ok());
        let q = q.unwrap_or_default();
        let (chars, max) = (q.chars().count(), WORDS_CHARS_MAX);
        if chars > max {
            faults.push(Fault::new("q", "text", TextError::TooLong { chars, max }.message()));
        }
        let words = fold(q).split_whitespace().map(str::to_owned).collect();
        if faults.is_empty() { Ok(Self { state, status, assignee, words }) } else { Err(Problem::faults(faults)) }
    }

    /// Whether a card is shown; `looked_through` counts the text that was searched for it.
    fn shows(&self, view: &dyn Read, card: &Card, looked_through: &mut usize) -> Result<bool, StoreError> {
        if State::from(card.state) != self.state
            || self.status.is_some_and(|status| card.status != status)
            || self.assignee.is_some_and(|user| !card.assignees.contains(&user))
        {
            return Ok(false);
        }
        if self.words.is_empty() {
            return Ok(true);
        }
        let mut text = card.title.clone();
        let body = card.body.map(|number| work::read::text(view, number)).transpose()?;
        for more in card.values.iter().map(|(_, value)| value.as_str()).chain(body.as_deref()) {
            text.push('\n');
            text.push_str(more);
        }
        *looked_through += text.len();
        let text = fold(&text);
        Ok(self.words.iter().all(|word| text.contains(word)))
    }

    /// The cards before the receipt number `before`, latest first, at most `limit`, and the number from which to go on.
    ///
    /// # Errors
    /// What the store says.
    pub fn page(
        &self,
        view: &dyn Read,
        board: &Board,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<Card>, Option<u64>), StoreError> {
        let (mut found, mut before) = (Vec::new(), before);
        let (mut looked_at, mut looked_through) = (0, 0);
        loop {
            let batch = work::read::newest(view, board.id, before, BATCH)?;
            if batch.is_empty() {
                return Ok((found, None));
            }
            for card in batch {
                if looked_at == LOOKED_AT_MAX || looked_through > LOOKED_THROUGH_BYTES_MAX {
                    return Ok((found, before));
                }
                looked_at += 1;
                let shown = self.shows(view, &card, &mut looked_through)?;
                // One more than asked for shows that the list goes on.
                if shown && found.len() == limit {
                    return Ok((found, before));
                }
                before = Some(card.number);
                found.extend(shown.then_some(card));
            }
        }
    }
}
