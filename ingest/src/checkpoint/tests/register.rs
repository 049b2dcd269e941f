//! The list of commits in memory, with answers that get lost as asked.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;

use super::super::{Commit, Commits, CommitsError};

/// What becomes of a commit that is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    Question,
    Answer,
    /// It is done, and nothing is ever said.
    Silence,
}

#[derive(Debug, Default)]
pub(crate) struct Register(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    epoch: u64,
    number: u64,
    listed: Vec<Commit>,
    lost: VecDeque<Lost>,
}

impl Register {
    /// The next commits are lost on the way, each as it says.
    pub(crate) fn lose(&self, lost: impl IntoIterator<Item = Lost>) {
        self.0.lock().unwrap().lost = lost.into_iter().collect();
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.lock().unwrap().number
    }

    /// What is answered to a commit, and none where nothing is.
    fn decide(&self, commit: &Commit, keep: u64) -> Option<Result<(), CommitsError>> {
        let mut state = self.0.lock().unwrap();
        let lost = state.lost.pop_front();
        if lost == Some(Lost::Question) {
            return Some(Err(CommitsError::Failed("no connection".into())));
        }
        if !state.listed.contains(commit) {
            if commit.epoch != state.epoch || commit.number != state.number + 1 {
                let (partition, epoch, now) = (commit.partition, commit.epoch, state.epoch);
                return Some(Err(CommitsError::Fenced { partition, epoch, now }));
            }
            state.number = commit.number;
            state.listed.push(commit.clone());
            state.listed.retain(|listed| listed.number + keep > commit.number);
        }
        match lost {
            Some(Lost::Silence) => None,
            Some(Lost::Question | Lost::Answer) => {
                Some(Err(CommitsError::Failed("the connection broke".into())))
            }
            None => Some(Ok(())),
        }
    }
}

#[async_trait]
impl Commits for Register {
    async fn acquire(&self, _partition: u32, _owner: &str) -> Result<u64, CommitsError> {
        let mut state = self.0.lock().unwrap();
        state.epoch += 1;
        Ok(state.epoch)
    }

    async fn listed(&self, _partition: u32) -> Result<Vec<Commit>, CommitsError> {
        Ok(self.0.lock().unwrap().listed.iter().rev().cloned().collect())
    }

    async fn commit(&self, commit: &Commit, keep: u64) -> Result<(), CommitsError> {
        match self.decide(commit, keep) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}
