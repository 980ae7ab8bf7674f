//! The blocking pool, so that slow work holds up nobody else.

use std::any::Any;

use tokio::task::JoinHandle;

use super::StoreError;

/// Runs `work` on the blocking pool.
///
/// # Errors
/// [`StoreError::Panicked`].
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    let done = begin(Box::new(move || Box::new(work()))).await.map_err(|_| StoreError::Panicked)?;
    done.downcast().map(|done| *done).map_err(|_| StoreError::Panicked)
}

type Done = Box<dyn Any + Send>;

/// For every type of work that it is given, tokio builds a task's whole machinery; this gives it one.
fn begin(work: Box<dyn FnOnce() -> Done + Send>) -> JoinHandle<Done> {
    tokio::task::spawn_blocking(work)
}
