//! One instance of a plugin: its store, and the way of a call through it.

use std::time::Duration;

use otlp::edit::Edit;
use otlp::edit::named::Paths;
use otlp::path::Path;
use pipeline::chain::sampler::{Decisions, Question};
use pipeline::chain::stage::{Call, Fault, FaultKind, Instance};
use wasmtime::Store;

use crate::guest::{Answer, Guest};
use crate::handover::Handover;
use crate::host::HostState;
use crate::options::Options;
use crate::program::Made;
use crate::{fault, lift, lower};

/// An instance is not judged by its memory before it has served so many calls: what it takes at first it mostly keeps.
const YOUNG: u64 = 64;

pub(crate) struct WasmInstance {
    made: Made,
    paths: Paths,
    calls: u64,
    max_calls: u64,
    max_edits: usize,
    /// It failed, and is not called again.
    spent: bool,
}

impl WasmInstance {
    pub(crate) fn new(made: Made, options: &Options, paths: impl IntoIterator<Item = Path>) -> Self {
        Self {
            made,
            paths: Paths::new(paths),
            calls: 0,
            max_calls: options.calls,
            max_edits: options.edits,
            spent: false,
        }
    }

    /// Everything that is asked about spans: what it answers, or what is wrong with it, in which case it is spent.
    fn ask<T, U>(
        &mut self,
        now: u64,
        deadline: Duration,
        ask: impl FnOnce(&Guest, &mut Store<HostState>) -> Answer<T>,
        lift: impl FnOnce(&mut Self, T) -> Result<U, Fault>,
    ) -> Result<U, Fault> {
        if self.spent {
            let message = "this instance has failed before and is not called again".to_owned();
            return Err(Fault { kind: FaultKind::Instantiate, message });
        }
        self.calls += 1;
        let answer = self.run(now, deadline, ask).and_then(|answer| lift(self, answer));
        if answer.is_err() {
            self.spent = true;
            self.settle(false);
        }
        answer
    }

    fn run<T>(
        &mut self,
        now: u64,
        deadline: Duration,
        ask: impl FnOnce(&Guest, &mut Store<HostState>) -> Answer<T>,
    ) -> Result<T, Fault> {
        let state = self.made.store.data_mut();
        state.now = now;
        // What `configure` asked for was of its own time.
        state.tables.renew();
        self.begin(deadline);
        let Made { store, guest, clock, .. } = &mut self.made;
        let answer = clock.during(|| fault::guarded(|| ask(guest, store)))?;
        store.data_mut().collect_output();
        store.data_mut().tables.renew();
        match answer {
            Ok(answer) => answer.map_err(|message| fault::answered(&message)),
            Err(error) => Err(fault::name(&error, store.data_mut())),
        }
    }

    /// Everything that is called has a deadline.
    fn begin(&mut self, deadline: Duration) {
        self.made.store.data_mut().deadline.begin(deadline);
        self.made.store.set_epoch_deadline(1);
    }

    /// Calls something of the handover; whatever it logged and counted stands if it went well.
    fn hand<T>(
        &mut self,
        deadline: Duration,
        call: impl FnOnce(&mut Store<HostState>, &Handover) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.begin(deadline);
        let Made { store, handover, clock, .. } = &mut self.made;
        let Some(handover) = handover else { return Err(fault::answered("it exports no handover")) };
        let answer = clock.during(|| fault::guarded(|| call(store, handover)))?;
        store.data_mut().collect_output();
        let answer = answer.map_err(|error| fault::name(&error, store.data_mut()));
        self.settle(answer.is_ok());
        answer
    }

    fn lift(&mut self, answer: Vec<crate::bindings::tracemill::plugin::types::Edit>) -> Result<Vec<Edit>, Fault> {
        let edits = |message| Fault { kind: FaultKind::Edits, message };
        if answer.len() > self.max_edits {
            return Err(edits(format!("a call answered {} edits; the limit is {}", answer.len(), self.max_edits)));
        }
        self.paths.edits(answer.into_iter().map(lift::edit)).map_err(|error| edits(fault::short(&error.to_string())))
    }
}

/// Whoever asked reads what decisions say; that they are about these traces bounds what the host goes through.
fn no_more_than(traces: usize, decisions: Decisions) -> Result<Decisions, Fault> {
    let Decisions { actions, numbers, reasons } = &decisions;
    let most = actions.len().max(numbers.len()).max(reasons.codes.len());
    if most > traces {
        let message = format!("a call answered {most} decisions about {traces} traces");
        return Err(Fault { kind: FaultKind::Decisions, message });
    }
    Ok(decisions)
}

impl Instance for WasmInstance {
    fn call(&mut self, call: Call<'_>) -> Result<Vec<Edit>, Fault> {
        let Call { rows, columns, now, deadline } = call;
        self.ask(now, deadline, |guest, store| guest.process(store, rows, columns), Self::lift)
    }

    fn decide(&mut self, question: Question<'_>) -> Result<Decisions, Fault> {
        let Question { traces, columns, now, deadline } = question;
        let due: Vec<_> = traces.due.iter().map(|due| lower::why(*due)).collect();
        let shown = lower::traces(traces, &due);
        self.ask(
            now,
            deadline,
            |guest, store| guest.decide(store, shown, columns),
            |_, answer| no_more_than(traces.len(), lift::decisions(answer)),
        )
    }

    fn settle(&mut self, kept: bool) {
        self.made.store.data_mut().journal.settle(kept);
    }

    fn save(&mut self, deadline: Duration) -> Result<Vec<u8>, Fault> {
        self.spent = true;
        Ok(self.hand(deadline, |store, handover| handover.save.call(store, ()))?.0)
    }

    fn restore(&mut self, from: &str, saved: Vec<u8>, deadline: Duration) -> Result<(), Fault> {
        let answer = self.hand(deadline, |store, handover| handover.restore.call(store, (from.to_owned(), saved)));
        answer.and_then(|(said,)| said.map_err(|why| fault::answered(&why))).inspect_err(|_| self.spent = true)
    }

    fn is_worn(&self) -> bool {
        let limiter = &self.made.store.data().limiter;
        let swollen = limiter.memory() > limiter.memory_limit() / 5 * 4;
        self.calls >= self.max_calls || (swollen && self.calls >= YOUNG)
    }
}
