//! Reads of one kind that come at the same time share a round trip, as when many devices connect after a restart.
//!
//! Their statements hide the questions from the planner (`OFFSET 0`). If it saw how many there are, a plan for just this
//! call would always look better than the one for any, and planning takes longer than answering.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::{Row, postgres::PgRow};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    connection::{Conn, Held},
    database::{Database, in_time},
    error::Fault,
};

/// Questions in one round trip at most.
const MOST: usize = 64;
/// Round trips of one kind under way at once: one, in which what comes meanwhile gathers, and others beside it when so
/// many wait that they fill one of their own, or somebody has waited for long.
const TOGETHER: usize = 2;
/// Longer than this nobody waits for a round trip that is slow, where another may begin.
const LONG: Duration = Duration::from_millis(20);

/// Asks all questions in one round trip. Each has an answer, in their order.
pub(crate) type Read<Q, A> =
    for<'a, 'c> fn(&'a mut Conn<'c>, &'a [Q]) -> BoxFuture<'a, Result<Vec<A>, Fault>>;

/// Gathers questions of one kind. Clones are the same.
pub(crate) struct Gather<Q, A> {
    read: Read<Q, A>,
    state: Arc<Mutex<State<Q, A>>>,
}

struct State<Q, A> {
    waiting: VecDeque<Asked<Q, A>>,
    running: usize,
}

struct Asked<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A, Fault>>,
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Gather<Q, A> {
    pub(crate) fn new(read: Read<Q, A>) -> Self {
        let state = State { waiting: VecDeque::new(), running: 0 };
        Self { read, state: Arc::new(Mutex::new(state)) }
    }

    /// Asks, and waits for the answer. Dropping the future takes the question back unless it is under way.
    pub(crate) async fn ask(&self, database: &Database, question: Q) -> Result<A, Fault> {
        let (answer, mut answered) = oneshot::channel();
        {
            let mut state = self.state.lock();
            state.waiting.push_back(Asked { question, answer });
            if state.running == 0 || state.waiting.len() >= MOST {
                self.begin(&mut state, database);
            }
        }
        let answer = match timeout(LONG, &mut answered).await {
            Ok(answer) => answer,
            Err(_) => {
                self.begin(&mut self.state.lock(), database);
                answered.await
            }
        };
        answer.unwrap_or_else(|_| Err(Fault::interrupted("the runtime shuts down")))
    }

    /// Begins round trips, if somebody waits and there may be more of them.
    fn begin(&self, state: &mut State<Q, A>, database: &Database) {
        if state.waiting.is_empty() || state.running == TOGETHER {
            return;
        }
        state.running += 1;
        let (gather, database) = (self.clone(), database.clone());
        let mut runner = Runner { gather, database, held: None, has_ended: false };
        // In a task of its own: whoever asked first may go away, and others wait for it too.
        tokio::spawn(async move {
            while let Some((questions, answers)) = runner.take() {
                runner.answer(&questions, answers).await;
            }
        });
    }
}

/// Asks until nobody waits.
struct Runner<Q, A> {
    gather: Gather<Q, A>,
    database: Database,
    /// The connection, kept from one round trip to the next: to give it back takes another one.
    held: Option<Held>,
    has_ended: bool,
}

type Answer<A> = oneshot::Sender<Result<A, Fault>>;

impl<Q, A> Runner<Q, A> {
    /// What waits, but for what nobody waits for any more. With nothing the runner has ended: who comes next
    /// starts another.
    fn take(&mut self) -> Option<(Vec<Q>, Vec<Answer<A>>)> {
        let mut state = self.gather.state.lock();
        let (mut questions, mut answers) = (Vec::new(), Vec::new());
        while questions.len() < MOST
            && let Some(asked) = state.waiting.pop_front()
        {
            if !asked.answer.is_closed() {
                questions.push(asked.question);
                answers.push(asked.answer);
            }
        }
        if questions.is_empty() {
            state.running -= 1;
            self.has_ended = true;
            return None;
        }
        Some((questions, answers))
    }

    async fn answer(&mut self, questions: &[Q], answers: Vec<Answer<A>>) {
        match self.read(questions).await {
            Ok(found) => {
                for (answer, found) in answers.into_iter().zip(found) {
                    let _ = answer.send(Ok(found));
                }
            }
            // One of them is at fault, and the others are not to suffer for it.
            Err(fault) if questions.len() > 1 && fault.is_of_one() => {
                for (question, answer) in questions.iter().zip(answers) {
                    let alone = self.read(std::slice::from_ref(question)).await;
                    let _ = answer.send(alone.and_then(|mut found| {
                        found.pop().ok_or_else(|| Fault::corrupt("a question without an answer"))
                    }));
                }
            }
            Err(fault) => {
                for answer in answers {
                    let _ = answer.send(Err(fault.clone()));
                }
            }
        }
    }

    async fn read(&mut self, questions: &[Q]) -> Result<Vec<A>, Fault> {
        let mut held = match self.held.take() {
            Some(held) => held,
            None => self.database.acquire().await?,
        };
        // Those who asked give up after a while; this has to do so by itself.
        let found = in_time(Duration::ZERO, (self.gather.read)(&mut held.conn(), questions)).await;
        if held.ended(&found) {
            self.held = Some(held);
        }
        found
    }
}

impl<Q, A> Drop for Runner<Q, A> {
    fn drop(&mut self) {
        if !self.has_ended {
            // Its runtime shuts down, or it panicked: nobody waits for ever.
            let mut state = self.gather.state.lock();
            state.running -= 1;
            state.waiting.clear();
        }
    }
}

/// Sorts rows to the questions that their column `place` names; each is read with its question's place.
pub(crate) fn answers<T>(
    questions: usize,
    rows: &[PgRow],
    read: impl Fn(usize, &PgRow) -> Result<T, Fault>,
) -> Result<Vec<Vec<T>>, Fault> {
    let mut answers: Vec<Vec<T>> = std::iter::repeat_with(Vec::new).take(questions).collect();
    for row in rows {
        let place = place(row)?;
        if let Some(answer) = answers.get_mut(place) {
            answer.push(read(place, row)?);
        }
    }
    Ok(answers)
}

/// The question that a row answers, from 0; `WITH ORDINALITY` counts from 1.
pub(crate) fn place(row: &PgRow) -> Result<usize, Fault> {
    let place = usize::try_from(row.try_get::<i64, _>("place")?).map_err(Fault::corrupt)?;
    Ok(place.wrapping_sub(1))
}

impl<Q, A> Clone for Gather<Q, A> {
    fn clone(&self) -> Self {
        Self { read: self.read, state: Arc::clone(&self.state) }
    }
}

impl<Q, A> fmt::Debug for Gather<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::join_all};
    use tokio::task::yield_now;

    use super::*;
    use crate::config::PostgresConfig;

    /// Sleeps for the longest of the questions, in seconds, and answers with how many there are.
    async fn sleep(conn: &mut Conn<'_>, asked: &[f64]) -> Result<Vec<usize>, Fault> {
        let longest = asked.iter().copied().fold(0.0, f64::max);
        conn.query("SELECT pg_sleep($1)").bind(longest).execute(conn.pg()).await?;
        Ok(vec![asked.len(); asked.len()])
    }

    #[tokio::test]
    async fn what_comes_meanwhile_shares_a_round_trip_and_waits_for_no_slow_one() {
        let url = parlor_test_services::postgres().database();
        let database = Database::connect(&url, PostgresConfig::default()).await.unwrap();
        let gather = Gather::new(|conn, asked| sleep(conn, asked).boxed());
        let (slow, others) = (gather.clone(), database.clone());
        let slow = tokio::spawn(async move { slow.ask(&others, 4.0).await });
        let is_under_way = || {
            let state = gather.state.lock();
            state.running == 1 && state.waiting.is_empty()
        };
        while !is_under_way() {
            yield_now().await;
        }
        let quick = join_all((0..10).map(|_| gather.ask(&database, 0.0))).await;
        assert!(!slow.is_finished(), "nobody waits for the slow one");
        for answer in quick {
            assert_eq!(answer.unwrap(), 10, "all in one");
        }
        assert_eq!(slow.await.unwrap().unwrap(), 1);
    }
}
