//! Server reflection, as the generated clients of both versions ask for it.

use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Question;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse as Answer;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;
use tracemill_pipeline::receive::AuthConfig;

use super::support::{Server, start};

const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";

async fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap()
}

fn ask(question: Question) -> ServerReflectionRequest {
    ServerReflectionRequest { host: "me".to_owned(), message_request: Some(question) }
}

fn file(answer: ServerReflectionResponse) -> FileDescriptorProto {
    match answer.message_response {
        Some(Answer::FileDescriptorResponse(files)) => {
            FileDescriptorProto::decode(&*files.file_descriptor_proto[0]).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn services_and_their_files_are_told_in_one_conversation() {
    let server = start(|_| {}).await;
    let (questions, asked) = tokio::sync::mpsc::channel(1);
    let asked = futures_util::stream::unfold(asked, |mut asked| async move { Some((asked.recv().await?, asked)) });
    let mut client = ServerReflectionClient::new(channel(&server).await);
    let mut answers = client.server_reflection_info(Request::new(asked)).await.unwrap().into_inner();
    // Each answer comes before the next question.
    questions.send(ask(Question::ListServices(String::new()))).await.unwrap();
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!(answer.valid_host, "me");
    let Some(Answer::ListServicesResponse(list)) = answer.message_response else { panic!("{answer:?}") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&TRACES.to_owned()) && names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");

    questions.send(ask(Question::FileContainingSymbol(TRACES.to_owned()))).await.unwrap();
    let service = file(answers.message().await.unwrap().unwrap());
    assert_eq!(service.service[0].method[0].name(), "Export");
    for name in &service.dependency {
        questions.send(ask(Question::FileByFilename(name.clone()))).await.unwrap();
        assert_eq!(file(answers.message().await.unwrap().unwrap()).name(), name);
    }
    questions.send(ask(Question::FileContainingSymbol("nothing.Here".to_owned()))).await.unwrap();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(Answer::ErrorResponse(error)) = answer.message_response else { panic!("{answer:?}") };
    assert_eq!(error.error_code, Code::NotFound as i32);
    drop(questions);
    assert_eq!(answers.message().await.unwrap(), None);
}

#[tokio::test]
async fn the_older_version_is_answered_as_well() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let server = start(|_| {}).await;
    let question = MessageRequest::FileContainingSymbol("grpc.health.v1.Health".to_owned());
    let question = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel(&server).await);
    let asked = futures_util::stream::iter([question]);
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    assert!(matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_))), "{answer:?}");
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn whoever_may_not_send_may_not_ask_either() {
    let folder = tempfile::tempdir().unwrap();
    let tokens: PathBuf = folder.path().join("tokens");
    std::fs::write(&tokens, "sesame\n").unwrap();
    let server = start(|config| config.auth = Some(AuthConfig::Tokens(tokens))).await;
    let asked = || futures_util::stream::iter([ask(Question::ListServices(String::new()))]);
    let mut client = ServerReflectionClient::new(channel(&server).await);
    assert_eq!(client.server_reflection_info(asked()).await.unwrap_err().code(), Code::Unauthenticated);
    let mut request = Request::new(asked());
    request.metadata_mut().insert("authorization", "Bearer sesame".parse().unwrap());
    assert!(client.server_reflection_info(request).await.unwrap().into_inner().message().await.unwrap().is_some());
}

#[tokio::test]
async fn questions_that_are_too_large_end_the_conversation() {
    let server = start(|_| {}).await;
    let mut client = ServerReflectionClient::new(channel(&server).await);
    let asked = futures_util::stream::iter([ask(Question::FileByFilename("x".repeat(10_000)))]);
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::ResourceExhausted);
}
