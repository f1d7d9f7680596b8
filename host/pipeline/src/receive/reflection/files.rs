//! The descriptions of what is served: OTLP's own, as its crate has them, health and reflection.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use tonic_reflection::pb::{v1, v1alpha};

/// What may be called.
pub(super) const SERVED: [&str; 4] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "opentelemetry.proto.collector.trace.v1.TraceService",
];

/// Made when somebody asks for the first time.
pub(super) static FILES: LazyLock<Files> = LazyLock::new(|| {
    let mut files = Files::default();
    for set in [opentelemetry_proto::DESCRIPTORS, v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET] {
        let set = FileDescriptorSet::decode(set).expect("what was compiled in is whole");
        set.file.iter().for_each(|file| files.add(file));
    }
    files.add(&health());
    files
});

/// Files, by their names and by the names of what they describe.
#[derive(Default)]
pub(super) struct Files {
    encoded: Vec<Vec<u8>>,
    names: HashMap<String, usize>,
    symbols: HashMap<String, usize>,
}

impl Files {
    pub fn by_name(&self, name: &str) -> Option<&[u8]> {
        self.names.get(name).map(|&at| &*self.encoded[at])
    }

    pub fn by_symbol(&self, name: &str) -> Option<&[u8]> {
        self.symbols.get(name.trim_start_matches('.')).map(|&at| &*self.encoded[at])
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        if self.names.insert(file.name().to_owned(), self.encoded.len()).is_some() {
            return;
        }
        let package = file.package();
        file.message_type.iter().for_each(|message| self.add_message(package, message));
        file.enum_type.iter().for_each(|each| drop(self.add_symbol(package, each.name())));
        for service in &file.service {
            let name = self.add_symbol(package, service.name());
            service.method.iter().for_each(|method| drop(self.add_symbol(&name, method.name())));
        }
        self.encoded.push(file.encode_to_vec());
    }

    fn add_message(&mut self, within: &str, message: &DescriptorProto) {
        let name = self.add_symbol(within, message.name());
        message.field.iter().for_each(|field| drop(self.add_symbol(&name, field.name())));
        message.enum_type.iter().for_each(|each| drop(self.add_symbol(&name, each.name())));
        message.nested_type.iter().for_each(|nested| self.add_message(&name, nested));
    }

    /// For the file that is added next.
    fn add_symbol(&mut self, within: &str, name: &str) -> String {
        let name = if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
        self.symbols.insert(name.clone(), self.encoded.len());
        name
    }
}

/// `grpc/health/v1/health.proto`, as far as it is served.
fn health() -> FileDescriptorProto {
    let field = |name: &str, kind: Type, type_name: Option<&str>| FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(1),
        label: Some(Label::Optional as i32),
        r#type: Some(kind as i32),
        type_name: type_name.map(str::to_owned),
        json_name: Some(name.to_owned()),
        ..FieldDescriptorProto::default()
    };
    let status = |(number, name): (i32, &str)| EnumValueDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        options: None,
    };
    let statuses = EnumDescriptorProto {
        name: Some("ServingStatus".to_owned()),
        value: [(0, "UNKNOWN"), (1, "SERVING"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN")].map(status).into(),
        ..EnumDescriptorProto::default()
    };
    let request = DescriptorProto {
        name: Some("HealthCheckRequest".to_owned()),
        field: vec![field("service", Type::String, None)],
        ..DescriptorProto::default()
    };
    let response = DescriptorProto {
        name: Some("HealthCheckResponse".to_owned()),
        field: vec![field("status", Type::Enum, Some(".grpc.health.v1.HealthCheckResponse.ServingStatus"))],
        enum_type: vec![statuses],
        ..DescriptorProto::default()
    };
    let check = MethodDescriptorProto {
        name: Some("Check".to_owned()),
        input_type: Some(".grpc.health.v1.HealthCheckRequest".to_owned()),
        output_type: Some(".grpc.health.v1.HealthCheckResponse".to_owned()),
        ..MethodDescriptorProto::default()
    };
    FileDescriptorProto {
        name: Some("grpc/health/v1/health.proto".to_owned()),
        package: Some("grpc.health.v1".to_owned()),
        message_type: vec![request, response],
        service: vec![ServiceDescriptorProto { name: Some("Health".to_owned()), method: vec![check], options: None }],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_described_with_all_that_it_needs() {
        for service in SERVED {
            let mut needed = vec![FILES.by_symbol(service).expect(service)];
            let mut seen = Vec::new();
            while let Some(encoded) = needed.pop() {
                let file = FileDescriptorProto::decode(encoded).unwrap();
                for name in &file.dependency {
                    needed.push(FILES.by_name(name).unwrap_or_else(|| panic!("{service} needs {name}")));
                }
                seen.push(file.name().to_owned());
                assert!(seen.len() < 100, "{seen:?}");
            }
            assert!(!seen.is_empty());
        }
        assert!(FILES.by_symbol("opentelemetry.proto.trace.v1.Span.SpanKind").is_some());
        assert!(FILES.by_symbol("opentelemetry.proto.collector.trace.v1.TraceService.Export").is_some());
        assert!(FILES.by_symbol("opentelemetry.proto.trace.v1").is_none());
    }
}
