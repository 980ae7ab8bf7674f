//! Answers without words: health, and embedded files.

use poem::{
    Request, Response, Result, handler,
    http::{StatusCode, header},
};

use super::{
    answer::{WebError, see_other},
    assets,
    caller::app,
};
use crate::people::directory;

/// `GET /healthz`: the process serves.
#[handler]
pub fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: keyring and system store answer.
#[handler]
pub async fn readyz(req: &Request) -> Result<Response> {
    let app = app(req)?;
    let answers = app.stores.system().read(|view| directory::operators(view)).await;
    let (status, word) =
        if answers.is_ok() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") };
    Ok(Response::builder().status(status).body(word))
}

/// `GET /assets/…`: an embedded file, packed as the browser likes.
#[handler]
pub fn asset(req: &Request) -> Result<Response> {
    let path = req.raw_path_param("path").unwrap_or_default();
    let asset = assets::find(path).ok_or(WebError::NotFound)?;
    let accepted = req.header(header::ACCEPT_ENCODING).unwrap_or_default();
    let (encoding, bytes) = match (asset.zstd(), asset.gzip()) {
        (Some(packed), _) if accepted.contains("zstd") => (Some("zstd"), packed),
        (_, Some(packed)) if accepted.contains("gzip") => (Some("gzip"), packed),
        _ => (None, asset.raw()),
    };
    let mut response = Response::builder()
        .content_type(asset.mime)
        .header(header::CACHE_CONTROL, assets::CACHE_CONTROL)
        .header(header::VARY, "accept-encoding");
    if let Some(encoding) = encoding {
        response = response.header(header::CONTENT_ENCODING, encoding);
    }
    Ok(response.body(bytes.to_vec()))
}

/// `GET /favicon.ico`: browsers ask for it whatever the page says.
#[handler]
pub fn favicon() -> Response {
    see_other(&assets::href("icons/favicon.svg"))
}
