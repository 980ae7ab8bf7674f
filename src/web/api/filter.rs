//! Which cards of a board a list shows.

use super::{
    cards::State,
    choices,
    problem::{Fault, Problem},
};
use crate::{
    ids::{StatusId, UserId},
    store::{Read, StoreError},
    text::fold,
    work::{self, Board, Card},
};

/// Cards that one page looks at; past it the page ends and its cursor goes on. It bounds what a rare word on a board of a
/// million cards costs.
const LOOKED_AT_MAX: usize = 2_000;
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
        let words = fold(q.unwrap_or_default()).split_whitespace().map(str::to_owned).collect();
        if faults.is_empty() { Ok(Self { state, status, assignee, words }) } else { Err(Problem::faults(faults)) }
    }

    fn shows(&self, view: &dyn Read, card: &Card) -> Result<bool, StoreError> {
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
        let (mut found, mut before, mut looked_at) = (Vec::new(), before, 0);
        loop {
            let batch = work::read::newest(view, board.id, before, BATCH)?;
            if batch.is_empty() {
                return Ok((found, None));
            }
            for card in batch {
                if looked_at == LOOKED_AT_MAX {
                    return Ok((found, before));
                }
                looked_at += 1;
                if self.shows(view, &card)? {
                    // One more than asked for shows that the list goes on.
                    if found.len() == limit {
                        return Ok((found, before));
                    }
                    before = Some(card.number);
                    found.push(card);
                } else {
                    before = Some(card.number);
                }
            }
        }
    }
}
