//! The document service with axum: see `../README.md`.
#![allow(
    clippy::disallowed_methods,
    reason = "Clock and Disk are the engine's seams; this is not the engine"
)]

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Extension, Json, Router};
use futures_util::TryStreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom::{
    Collection, Config, Cursor, Engine, Error, ErrorKind, Index, KeyFile, Policy, PutOptions, ScanOptions,
    Tenant, TenantOptions,
};
use tokio_util::io::{StreamReader, SyncIoBridge};

const PAGE: usize = 100;
const TAG: &str = "tag";
/// Bytes of a document that are on their way at a time.
const PART: usize = 1 << 18;

struct Service {
    engine: Engine,
    tokens: HashMap<String, String>,
}

/// What a request can't be answered with.
enum Failure {
    Of(Error),
    Missing(&'static str),
    Malformed(&'static str),
    Unauthorized,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Of(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, kind, message) = match self {
            Self::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "Unauthorized", "give a token that is known".to_owned())
            }
            Self::Malformed(what) => (StatusCode::BAD_REQUEST, "InvalidArgument", what.to_owned()),
            Self::Missing(what) => (StatusCode::NOT_FOUND, "NotFound", format!("there is no such {what}")),
            Self::Of(error) => (status_of(error.kind()), error.kind().name(), error.to_string()),
        };
        (status, Json(json!({ "error": kind, "message": message }))).into_response()
    }
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::Held => StatusCode::CONFLICT,
        ErrorKind::LimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Busy | ErrorKind::KeyUnavailable | ErrorKind::Unavailable | ErrorKind::Suspended => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

type Answer<T> = Result<T, Failure>;

/// The engine's calls wait for disks: they run where waiting holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

async fn authenticate(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    mut request: Request,
    next: Next,
) -> Response {
    let token =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(name) = token.and_then(|token| service.tokens.get(token)).cloned() else {
        return Failure::Unauthorized.into_response();
    };
    let opened = blocking(move || match service.engine.tenant(&name) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(service.engine.create_tenant(&name, TenantOptions::new())?)
        }
        opened => Ok(opened?),
    });
    match opened.await {
        Ok(tenant) => {
            request.extensions_mut().insert(tenant);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

async fn upload(
    Extension(tenant): Extension<Tenant>,
    Path((collection, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<Value>)> {
    let tag = headers.get("x-tag").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let is_new = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*");
    let stream = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let reader = SyncIoBridge::new(stream);
    let version = blocking(move || {
        let collection = tenant.collection(&collection)?;
        let mut options = PutOptions::new();
        if is_new {
            options = options.if_absent();
        }
        if let Some(tag) = tag {
            collection.declare_index(TAG, Index::ordered())?;
            options = options.index(TAG, tag);
        }
        Ok(collection.put_reader(key, reader, options)?)
    });
    Ok((StatusCode::CREATED, Json(json!({ "version": version.await?.to_string() }))))
}

async fn read(
    Extension(tenant): Extension<Tenant>,
    Path((collection, key)): Path<(String, String)>,
) -> Answer<Response> {
    let reader = blocking(move || {
        let reader = tenant.collection(&collection)?.get_reader(key)?;
        reader.ok_or(Failure::Missing("document"))
    });
    let reader = reader.await?;
    let size = reader.info().value_bytes;
    let parts = futures_util::stream::try_unfold(reader, |mut reader| async move {
        let next = tokio::task::spawn_blocking(move || {
            let mut part = vec![0; PART];
            let read = reader.read(&mut part)?;
            part.truncate(read);
            io::Result::Ok((Bytes::from(part), reader))
        });
        let (part, reader) = next.await.map_err(io::Error::other)??;
        io::Result::Ok((!part.is_empty()).then_some((part, reader)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

#[derive(Deserialize)]
struct Listing {
    prefix: Option<String>,
    after: Option<String>,
    tag: Option<String>,
}

async fn list(
    Extension(tenant): Extension<Tenant>,
    Path(collection): Path<String>,
    Query(listing): Query<Listing>,
) -> Answer<Json<Value>> {
    blocking(move || {
        let collection = tenant.collection(&collection)?;
        let mut scan = if let Some(tag) = &listing.tag {
            collection.find(TAG, tag)?
        } else {
            let mut options = ScanOptions::new().limit(PAGE).keys_only(true);
            options = options.prefix(listing.prefix.unwrap_or_default());
            if let Some(after) = listing.after {
                options = options.after(&after.parse::<Cursor>()?);
            }
            collection.scan_with(options)?
        };
        let entries = scan.by_ref().take(PAGE).collect::<Result<Vec<_>, _>>()?;
        let cursor = if listing.tag.is_some() { None } else { scan.cursor()? };
        let document = |entry: &strongroom::Entry| {
            json!({
                "key": String::from_utf8_lossy(&entry.key),
                "size": entry.info.value_bytes,
                "expires_ms": entry.info.expires_ms,
            })
        };
        Ok(Json(json!({
            "documents": entries.iter().map(document).collect::<Vec<_>>(),
            "cursor": cursor.map(|cursor| cursor.to_string()),
        })))
    })
    .await
}

#[derive(Deserialize)]
struct Removal {
    #[serde(default)]
    erase: bool,
}

/// Does something to a document, and says where there was none.
async fn at(
    tenant: Tenant,
    (collection, key): (String, String),
    what: &'static str,
    work: impl FnOnce(&Collection, &str) -> strongroom::Result<bool> + Send + 'static,
) -> Answer<StatusCode> {
    blocking(move || {
        let existed = work(&tenant.collection(&collection)?, &key)?;
        if existed { Ok(StatusCode::NO_CONTENT) } else { Err(Failure::Missing(what)) }
    })
    .await
}

async fn remove(
    Extension(tenant): Extension<Tenant>,
    Path(place): Path<(String, String)>,
    Query(removal): Query<Removal>,
) -> Answer<StatusCode> {
    at(
        tenant,
        place,
        "document",
        move |collection, key| {
            if removal.erase { collection.erase(key) } else { collection.remove(key) }
        },
    )
    .await
}

/// axum's wildcard takes all of a path: the last part says what to do.
async fn restore(
    Extension(tenant): Extension<Tenant>,
    Path((collection, key)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let key = key.strip_suffix("/restore").ok_or(Failure::Missing("request"))?.to_owned();
    at(tenant, (collection, key), "removed document", |collection, key| collection.restore(key)).await
}

#[derive(Deserialize)]
struct Retention {
    days: u32,
}

async fn retain(
    Extension(tenant): Extension<Tenant>,
    Path(collection): Path<String>,
    body: Bytes,
) -> Answer<StatusCode> {
    let retention = serde_json::from_slice::<Retention>(&body);
    let Retention { days } = retention.map_err(|_| Failure::Malformed("give {\"days\": a number}"))?;
    blocking(move || {
        let policy = Policy::new().retention(Duration::from_secs(u64::from(days) * 24 * 60 * 60));
        tenant.collection(&collection)?.set_policy(policy)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

async fn health(State(service): State<Arc<Service>>) -> Answer<Response> {
    let health = blocking(move || Ok(service.engine.health()?)).await?;
    let status = if health.is_good() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, [(header::CONTENT_TYPE, "application/json")], health.to_json()).into_response())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("name a directory")?;
    let port: u16 = arguments.next().ok_or("name a port")?.parse()?;
    let tokens = serde_json::from_str(&std::env::var("TOKENS")?)?;
    let data = FilePath::new(&directory).join("data");
    let config =
        Config::new(&data).key_provider("default", KeyFile::at(FilePath::new(&directory).join("root-key")));
    let engine = if data.exists() { Engine::open(config)? } else { Engine::create(config)? };
    let service = Arc::new(Service { engine, tokens });
    let app = Router::new()
        .route("/documents/{collection}", get(list))
        .route("/documents/{collection}/{*key}", put(upload).get(read).delete(remove).post(restore))
        .route("/retention/{collection}", put(retain))
        .layer(middleware::from_fn_with_state(Arc::clone(&service), authenticate))
        .route("/health", get(health))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
