//! What is to be done: the folder as it is against the chain as it is. Pure, so that every case has a test.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::digest::Digest;
use super::name;

/// What a stage is made from. The same recipe gives the same stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The content of the plugin's file: the plugin itself, or where to pull it from by a digest of its own.
    pub plugin: Digest,
    /// The sidecar's content, if there is one.
    pub sidecar: Option<Digest>,
    /// The signature's content, if there is one and signatures are asked for.
    pub signature: Option<Digest>,
    /// Counts the changes of what the configuration says about all plugins.
    pub defaults: u64,
}

impl Recipe {
    /// Whether it is the same plugin with the same sidecar, whoever has signed it, and whatever the configuration says about all plugins.
    #[must_use]
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.plugin == other.plugin && self.sidecar == other.sidecar
    }
}

/// A plugin file in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub file: String,
    /// Which stage it is.
    pub stage: Arc<str>,
    /// What to make; `None` while it or its sidecar is changing, or cannot be read.
    pub recipe: Option<Recipe>,
}

impl Wanted {
    /// A file that keeps its place, and is not made anew yet.
    #[must_use]
    pub fn changing(file: &str) -> Self {
        let stage = name::stage_of(name::stem_of(file)).into();
        Self { file: file.to_owned(), stage, recipe: None }
    }
}

/// What is known of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// What runs.
    pub live: Option<Recipe>,
    /// What is being made.
    pub loading: Option<Recipe>,
    /// What failed last, if nothing was tried since and it is not due to be tried again.
    pub failed: Option<Recipe>,
    /// What is tried beside it.
    pub tried: Option<Recipe>,
    /// What was rolled back, or withdrawn: it is not made again until the plugin or its sidecar changes.
    pub held: Option<Recipe>,
    /// Whether an error is shown.
    pub troubled: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The stages in order, with their files.
    pub order: Vec<(Arc<str>, String)>,
    /// Stages to make.
    pub load: Vec<(Arc<str>, String, Recipe)>,
    /// Stages whose last failure no longer matters, because what runs is what is wanted.
    pub settle: Vec<Arc<str>>,
    /// Stages whose last failure no longer matters, because what is wanted is tried or held.
    pub calm: Vec<Arc<str>>,
    /// Stages whose file is gone.
    pub retire: Vec<Arc<str>>,
    /// Files that cannot be a stage because an earlier one is: the file, and the earlier one.
    pub twice: Vec<(String, String)>,
}

/// Plans. `wanted` is in the folder's order.
#[must_use]
pub fn plan(known: &BTreeMap<Arc<str>, Known>, wanted: &[Wanted]) -> Plan {
    let mut plan = Plan::default();
    for Wanted { file, stage, recipe } in wanted {
        if let Some((_, earlier)) = plan.order.iter().find(|(known, _)| known == stage) {
            plan.twice.push((file.clone(), earlier.clone()));
            continue;
        }
        plan.order.push((stage.clone(), file.clone()));
        let Some(recipe) = recipe else { continue };
        let nothing = Known::default();
        let Known { live, loading, failed, tried, held, troubled } = known.get(stage).unwrap_or(&nothing);
        if loading.as_ref() == Some(recipe) {
            continue;
        }
        let is_version = |known: &Option<Recipe>| known.as_ref().is_some_and(|known| known.is_same_version(recipe));
        if live.as_ref() == Some(recipe) {
            if failed.is_some() || loading.is_some() || tried.is_some() || held.is_some() || *troubled {
                plan.settle.push(stage.clone());
            }
        } else if tried.as_ref() == Some(recipe) || is_version(held) {
            // It is where it belongs, and an error of its own stays.
            if loading.is_some() || (failed.is_some() || *troubled) && !is_version(failed) {
                plan.calm.push(stage.clone());
            }
        } else if loading.is_some() || failed.as_ref() != Some(recipe) {
            plan.load.push((stage.clone(), file.clone(), recipe.clone()));
        }
    }
    let gone = |stage: &&Arc<str>| !plan.order.iter().any(|(known, _)| known == *stage);
    plan.retire = known.keys().filter(gone).cloned().collect();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(version: &str) -> Recipe {
        Recipe { plugin: Digest::of(version.as_bytes()), sidecar: None, signature: None, defaults: 0 }
    }

    fn wanted(file: &str, version: &str) -> Wanted {
        Wanted { recipe: Some(recipe(version)), ..Wanted::changing(file) }
    }

    fn live(version: &str) -> Known {
        Known { live: Some(recipe(version)), ..Known::default() }
    }

    fn known<const N: usize>(stages: [(&str, Known); N]) -> BTreeMap<Arc<str>, Known> {
        stages.into_iter().map(|(name, known)| (name.into(), known)).collect()
    }

    fn loads(plan: &Plan) -> Vec<&str> {
        plan.load.iter().map(|(_, file, _)| file.as_str()).collect()
    }

    fn order(plan: &Plan) -> Vec<&str> {
        plan.order.iter().map(|(stage, _)| &**stage).collect()
    }

    #[test]
    fn new_and_changed_files_are_loaded_and_the_others_stay() {
        let plan = plan(
            &known([("a", live("1")), ("b", live("1"))]),
            &[wanted("10-a.wasm", "1"), wanted("20-b.wasm", "2"), wanted("30-c.wasm", "1")],
        );
        assert_eq!(loads(&plan), ["20-b.wasm", "30-c.wasm"]);
        assert_eq!(order(&plan), ["a", "b", "c"]);
        assert!(plan.retire.is_empty() && plan.settle.is_empty());
    }

    #[test]
    fn a_file_that_is_gone_retires_its_stage() {
        let plan = plan(&known([("a", live("1")), ("b", live("1"))]), &[wanted("20-b.wasm", "1")]);
        assert_eq!(plan.retire, ["a".into()]);
        assert!(plan.load.is_empty());
    }

    #[test]
    fn a_new_number_changes_the_order_and_nothing_else() {
        let plan =
            plan(&known([("a", live("1")), ("b", live("1"))]), &[wanted("20-b.wasm", "1"), wanted("30-a.wasm", "1")]);
        assert_eq!(order(&plan), ["b", "a"]);
        assert!(plan.load.is_empty() && plan.retire.is_empty());
    }

    #[test]
    fn two_files_of_one_stage_are_an_error_of_the_later() {
        let plan = plan(&known([]), &[wanted("10-a.oci", "1"), wanted("20-a.wasm", "2")]);
        assert_eq!(loads(&plan), ["10-a.oci"]);
        assert_eq!(plan.twice, [("20-a.wasm".to_owned(), "10-a.oci".to_owned())]);
    }

    #[test]
    fn what_failed_is_not_tried_again_until_it_changes() {
        let failed = Known { failed: Some(recipe("2")), ..live("1") };
        let again = plan(&known([("a", failed.clone())]), &[wanted("10-a.wasm", "2")]);
        assert!(again.load.is_empty() && again.settle.is_empty());
        let changed = plan(&known([("a", failed.clone())]), &[wanted("10-a.wasm", "3")]);
        assert_eq!(loads(&changed), ["10-a.wasm"]);
        let back = plan(&known([("a", failed)]), &[wanted("10-a.wasm", "1")]);
        assert_eq!(back.settle, ["a".into()]);
        assert!(back.load.is_empty());
    }

    #[test]
    fn an_error_goes_when_what_runs_is_there_again() {
        let troubled = Known { troubled: true, ..live("1") };
        let unreadable = Wanted { recipe: None, ..wanted("10-a.wasm", "1") };
        assert!(plan(&known([("a", troubled.clone())]), &[unreadable]).settle.is_empty());
        assert_eq!(plan(&known([("a", troubled)]), &[wanted("10-a.wasm", "1")]).settle, ["a".into()]);
        assert!(plan(&known([("a", live("1"))]), &[wanted("10-a.wasm", "1")]).settle.is_empty());
    }

    #[test]
    fn what_is_being_made_is_not_made_twice_but_overtaken() {
        let loading = Known { loading: Some(recipe("2")), ..live("1") };
        assert!(plan(&known([("a", loading.clone())]), &[wanted("10-a.wasm", "2")]).load.is_empty());
        assert_eq!(loads(&plan(&known([("a", loading.clone())]), &[wanted("10-a.wasm", "3")])), ["10-a.wasm"]);
        let back = plan(&known([("a", loading)]), &[wanted("10-a.wasm", "1")]);
        assert_eq!(back.settle, ["a".into()]);
    }

    #[test]
    fn what_is_tried_or_was_rolled_back_is_not_made_again_until_it_changes() {
        let tried = Known { tried: Some(recipe("2")), ..live("1") };
        let held = Known { held: Some(recipe("2")), ..live("1") };
        for known_so in [tried, held] {
            let so = known([("a", known_so)]);
            assert_eq!(plan(&so, &[wanted("10-a.wasm", "2")]).load, []);
            assert_eq!(loads(&plan(&so, &[wanted("10-a.wasm", "3")])), ["10-a.wasm"]);
            // The folder has what counts again: nothing is tried or held any more.
            assert_eq!(plan(&so, &[wanted("10-a.wasm", "1")]).settle, ["a".into()]);
        }
        // Other defaults make what is tried anew, and not what was rolled back.
        let mut changed = wanted("10-a.wasm", "2");
        changed.recipe.as_mut().unwrap().defaults = 1;
        let held = Known { held: Some(recipe("2")), ..live("1") };
        assert_eq!(plan(&known([("a", held)]), std::slice::from_ref(&changed)).load, []);
        let tried = Known { tried: Some(recipe("2")), ..live("1") };
        assert_eq!(loads(&plan(&known([("a", tried)]), &[changed])), ["10-a.wasm"]);
    }

    #[test]
    fn what_failed_meanwhile_is_forgotten_when_the_folder_holds_again_what_is_tried_or_held() {
        let (two, three) = (Some(recipe("2")), Some(recipe("3")));
        let tried = Known { tried: two.clone(), ..live("1") };
        let held = Known { held: two.clone(), ..live("1") };
        for so in [tried, held] {
            let back = |known_so: Known| plan(&known([("a", known_so)]), &[wanted("10-a.wasm", "2")]);
            for other in [
                Known { failed: three.clone(), troubled: true, ..so.clone() },
                // It is due to be tried again, or a file could not be read.
                Known { troubled: true, ..so.clone() },
                Known { loading: three.clone(), ..so.clone() },
            ] {
                let plan = back(other);
                assert_eq!((plan.calm, plan.load, plan.settle), (vec!["a".into()], vec![], vec![]));
            }
            // Its own failure is another matter: a canary was withdrawn.
            let own = back(Known { failed: two.clone(), troubled: true, ..so });
            assert_eq!(own, Plan { order: own.order.clone(), ..Plan::default() });
        }
    }

    #[test]
    fn a_signature_makes_no_other_version_of_what_was_rolled_back() {
        let held = Known { held: Some(recipe("2")), ..live("1") };
        let mut signed = wanted("10-a.wasm", "2");
        signed.recipe.as_mut().unwrap().signature = Some(Digest::of(b"signed"));
        assert_eq!(plan(&known([("a", held)]), &[signed]).load, []);
    }

    #[test]
    fn a_file_that_is_changing_keeps_its_place() {
        let changing = Wanted { recipe: None, ..wanted("10-a.wasm", "2") };
        let plan = plan(&known([("a", live("1"))]), &[changing]);
        assert_eq!(order(&plan), ["a"]);
        assert!(plan.load.is_empty() && plan.retire.is_empty());
    }

    #[test]
    fn other_defaults_are_another_recipe() {
        let mut changed = wanted("10-a.wasm", "1");
        changed.recipe.as_mut().unwrap().defaults = 1;
        assert_eq!(loads(&plan(&known([("a", live("1"))]), &[changed])), ["10-a.wasm"]);
    }
}
