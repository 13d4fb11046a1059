//! One cycle's work: planners and workers, side by side in one set of tasks,
//! so that an error or a person's wish ends all of them in order.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::working::Progress;
use super::{Crew, Limits, Stop, stopped};
use crate::queue::{OpenCycle, Planner, Store};
use crate::types::Brief;
use crate::{Error, Result};

/// What planners and workers of a cycle share. Cheap to clone.
pub(super) struct CycleWork<S, C> {
    pub(super) store: S,
    pub(super) crew: Arc<C>,
    pub(super) brief: Brief,
    pub(super) limits: Limits,
    pub(super) progress: Arc<Progress>,
    /// Places for planners that ask their model at once.
    pub(super) places: Arc<Semaphore>,
}

/// What a task of the set comes to.
pub(super) enum Step {
    /// A planner returned; these come next, and are told the overview.
    Planned { next: Vec<Planner>, overview: Arc<str> },
    /// A slot has nothing to do any more.
    SlotDone,
}

impl<S: Clone, C> Clone for CycleWork<S, C> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            crew: self.crew.clone(),
            brief: self.brief.clone(),
            limits: self.limits,
            progress: self.progress.clone(),
            places: self.places.clone(),
        }
    }
}

impl<S: Store, C: Crew> CycleWork<S, C> {
    pub(super) fn new(store: &S, crew: &Arc<C>, brief: Brief, limits: Limits) -> Self {
        Self {
            store: store.clone(),
            crew: crew.clone(),
            brief,
            limits,
            progress: Arc::default(),
            places: Arc::new(Semaphore::new(limits.max_workers.max(1) as usize)),
        }
    }

    /// Plans and works until nothing is left to do; returns the most workers
    /// that worked at once, or none where a person stopped it.
    pub(super) async fn run(&self, open: OpenCycle, mut stop: Stop) -> Result<Option<u32>> {
        self.progress.tasks_made(open.tasks);
        let mut steps = JoinSet::new();
        let ended = tokio::select! {
            ended = self.drive(&mut steps, open) => ended.map(Some),
            () = stopped(&mut stop) => Ok(None),
        };
        // Whoever is still at work ends before anybody hears that it is over.
        steps.shutdown().await;
        Ok(ended?.map(|()| self.progress.most_at_once()))
    }

    async fn drive(&self, steps: &mut JoinSet<Result<Step>>, open: OpenCycle) -> Result<()> {
        let mut planning = open.planners.len();
        self.start_planners(steps, open.planners, &open.overview.as_str().into());
        if planning == 0 {
            self.progress.planning_ended();
        }
        for number in 1..=self.limits.max_workers.max(1) {
            let work = self.clone();
            steps.spawn(async move { work.keep_working(format!("worker-{number}")).await });
        }
        while let Some(joined) = steps.join_next().await {
            let step = joined
                .map_err(|error| Error::failed(format!("a role's task broke off: {error}")))?;
            if let Step::Planned { next, overview } = step? {
                planning += next.len();
                planning -= 1;
                self.start_planners(steps, next, &overview);
                if planning == 0 {
                    self.progress.planning_ended();
                }
            }
        }
        Ok(())
    }

    fn start_planners(
        &self,
        steps: &mut JoinSet<Result<Step>>,
        planners: Vec<Planner>,
        overview: &Arc<str>,
    ) {
        for planner in planners {
            let (work, overview) = (self.clone(), overview.clone());
            steps.spawn(async move {
                let _place = work.places.acquire().await;
                work.run_planner(planner, overview).await
            });
        }
    }
}
