//! Which layer of a manifest is the plugin.

use oci_client::manifest::{OciDescriptor, OciManifest, WASM_LAYER_MEDIA_TYPE};

use super::PullError;
use crate::plugins::scan;

/// The layer of a Wasm OCI artifact, as `wkg oci push` and `oras push FILE:application/wasm` make it.
const WASM: &str = "application/wasm";
/// What `oras push FILE` says where nobody has told it a type: not a tar in truth, but the file itself, whose name is beside it.
const UNTYPED: &str = "application/vnd.oci.image.layer.v1.tar";
const TITLE: &str = "org.opencontainers.image.title";

/// The layer with the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its SHA-256, in hex.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
}

/// Finds it. `manifest` is what the wanted digest stands for.
pub fn layer(manifest: &[u8]) -> Result<Layer, PullError> {
    let refused = |why: String| Err(PullError::Content(why));
    let read: OciManifest = match serde_json::from_slice(manifest) {
        Ok(read) => read,
        Err(error) => return refused(format!("its manifest cannot be read: {error}")),
    };
    let OciManifest::Image(image) = read else {
        return refused(
            "the digest is that of an index of several manifests: name the digest of the manifest that has the plugin"
                .to_owned(),
        );
    };
    let mut plugins = image.layers.iter().filter(|layer| is_plugin(layer));
    let (Some(found), None) = (plugins.next(), plugins.next()) else {
        let types: Vec<&str> = image.layers.iter().map(|layer| layer.media_type.as_str()).collect();
        let types = if types.is_empty() { "none".to_owned() } else { types.join(", ") };
        return refused(format!(
            "it must have one layer of type {WASM}, and has {types}: push it by `wkg oci push`, or `oras push REFERENCE FILE.wasm:{WASM}`"
        ));
    };
    let Some(digest) = found.digest.strip_prefix("sha256:").filter(|digest| digest.len() == 64) else {
        return refused(format!("the digest of its layer is no SHA-256: {}", found.digest));
    };
    let size = u64::try_from(found.size).unwrap_or(u64::MAX);
    if size > scan::LARGEST {
        return refused(format!(
            "its layer has {} MiB, more than the {} MiB that a plugin may have",
            size >> 20,
            scan::LARGEST >> 20
        ));
    }
    Ok(Layer { digest: digest.to_ascii_lowercase(), size })
}

fn is_plugin(layer: &OciDescriptor) -> bool {
    let title = || layer.annotations.as_ref().and_then(|annotations| annotations.get(TITLE));
    match layer.media_type.as_str() {
        WASM | WASM_LAYER_MEDIA_TYPE => true,
        UNTYPED => title().is_some_and(|title| title.rsplit_once('.').is_some_and(|(_, ending)| ending == "wasm")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(layers: &Value) -> Result<Layer, String> {
        let config = json!({ "mediaType": "application/vnd.wasm.config.v0+json", "digest": hash(7), "size": 2 });
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers });
        layer(manifest.to_string().as_bytes()).map_err(|error| {
            assert!(matches!(error, PullError::Content(_)), "{error:?}");
            error.to_string()
        })
    }

    fn hash(digit: u8) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn of(kind: &str, digit: u8) -> Value {
        json!({ "mediaType": kind, "digest": hash(digit), "size": 100 })
    }

    #[test]
    fn the_layer_of_a_wasm_artifact_is_the_plugin() {
        let expected = Layer { digest: "1".repeat(64), size: 100 };
        assert_eq!(found(&json!([of(WASM, 1)])), Ok(expected.clone()));
        assert_eq!(found(&json!([of("application/vnd.wasm.content.layer.v1+wasm", 1)])), Ok(expected.clone()));
        // What else somebody has put beside it is not looked at.
        assert_eq!(found(&json!([of("text/markdown", 2), of(WASM, 1)])), Ok(expected.clone()));
        let mut untyped = of(UNTYPED, 1);
        untyped["annotations"] = json!({ TITLE: "10-a.wasm" });
        assert_eq!(found(&json!([untyped])), Ok(expected));
    }

    #[test]
    fn other_artifacts_are_refused_with_their_types() {
        for layers in [json!([of(UNTYPED, 1)]), json!([of("application/x-sh", 1)]), json!([of(WASM, 1), of(WASM, 2)])] {
            let why = found(&layers).unwrap_err();
            assert!(why.contains("one layer of type application/wasm") && why.contains("wkg oci push"), "{why}");
            assert!(why.contains(layers[0]["mediaType"].as_str().unwrap()), "{why}");
        }
        assert!(found(&json!([])).unwrap_err().contains("has none"));
        let index =
            json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [] });
        let why = layer(index.to_string().as_bytes()).unwrap_err().to_string();
        assert!(why.contains("an index of several manifests"), "{why}");
        assert!(layer(b"<html>").unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn a_layer_that_is_too_large_is_refused_before_it_is_asked_for() {
        let mut large = of(WASM, 1);
        large["size"] = json!(scan::LARGEST + 1);
        assert!(found(&json!([large])).unwrap_err().contains("256 MiB that a plugin may have"));
        large["size"] = json!(-1);
        assert!(found(&json!([large])).is_err());
        large = of(WASM, 1);
        large["digest"] = json!("sha512:00");
        assert!(found(&json!([large])).unwrap_err().contains("is no SHA-256"));
    }
}
