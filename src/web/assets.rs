//! Styles, scripts and icons: carried in the binary, named by their content, packed once.
//!
//! Every address is `/assets/{version}/{path}`, where the version is a hash over all of them. So an address may be kept
//! for ever, scripts import each other by relative path, and after an upgrade every address is new. The style sheets in
//! `assets/css` are served as one, `css/app.css`, joined in the order of their names.

use std::{borrow::Cow, collections::BTreeMap, io::Write as _, sync::OnceLock};

use rust_embed::RustEmbed;

/// What `Cache-Control` says of everything found here: the address changes when the content does.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// The joined style sheet.
const BUNDLE: &str = "css/app.css";

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/assets/css"]
#[prefix = "css/"]
struct Styles;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/assets/js"]
#[prefix = "js/"]
struct Scripts;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/assets/icons"]
#[prefix = "icons/"]
struct Icons;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/assets/vendor"]
#[prefix = "vendor/"]
struct Vendor;

/// One file, as it is and packed.
pub struct Asset {
    /// For `Content-Type`.
    pub mime: &'static str,
    raw: Cow<'static, [u8]>,
    gzip: OnceLock<Option<Vec<u8>>>,
    zstd: OnceLock<Option<Vec<u8>>>,
}

impl Asset {
    fn new(path: &str, raw: Cow<'static, [u8]>) -> Option<Self> {
        Some(Self { mime: mime(path)?, raw, gzip: OnceLock::new(), zstd: OnceLock::new() })
    }

    /// The bytes themselves.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The bytes for `Content-Encoding: gzip` (RFC 1952), packed at the first call; `None` if that is no gain.
    #[must_use]
    pub fn gzip(&self) -> Option<&[u8]> {
        self.gzip
            .get_or_init(|| {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                packer.write_all(&self.raw).ok()?;
                packer.finish().ok().filter(|packed| packed.len() < self.raw.len())
            })
            .as_deref()
    }

    /// The bytes for `Content-Encoding: zstd` (RFC 8878), packed at the first call; `None` if that is no gain.
    #[must_use]
    pub fn zstd(&self) -> Option<&[u8]> {
        self.zstd
            .get_or_init(|| zstd::encode_all(&*self.raw, 19).ok().filter(|packed| packed.len() < self.raw.len()))
            .as_deref()
    }
}

/// The type of a file that is served; licence texts and notes are not.
fn mime(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

struct Library {
    version: String,
    files: BTreeMap<String, Asset>,
}

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut files = BTreeMap::new();
        let mut bundle = Vec::new();
        let mut styles: Vec<_> = Styles::iter().collect();
        styles.sort_unstable();
        for sheet in styles.iter().filter_map(|path| Styles::get(path)) {
            bundle.extend_from_slice(&sheet.data);
        }
        let others = Scripts::iter()
            .filter_map(|path| Some((Scripts::get(&path)?, path)))
            .chain(Icons::iter().filter_map(|path| Some((Icons::get(&path)?, path))))
            .chain(Vendor::iter().filter_map(|path| Some((Vendor::get(&path)?, path))))
            .map(|(file, path)| (path.into_owned(), file.data));
        for (path, data) in others.chain([(BUNDLE.to_owned(), Cow::Owned(bundle))]) {
            if let Some(asset) = Asset::new(&path, data) {
                files.insert(path, asset);
            }
        }
        let mut hash = blake3::Hasher::new();
        for (path, asset) in &files {
            hash.update(path.as_bytes()).update(&[0]).update(blake3::hash(&asset.raw).as_bytes());
        }
        let version = hash.finalize().to_hex()[..8].to_owned();
        Library { version, files }
    })
}

/// The address of `path`, e.g. `css/app.css` gives `/assets/1a2b3c4d/css/app.css`.
#[must_use]
pub fn href(path: &str) -> String {
    format!("/assets/{}/{path}", library().version)
}

/// Addresses of all our own script modules, for preloading: else each import would be one more round trip.
#[must_use]
pub fn modules() -> Vec<String> {
    library()
        .files
        .keys()
        .filter(|path| path.starts_with("js/") && *path != "js/early.js")
        .map(|path| href(path))
        .collect()
}

/// The file at what follows `/assets/` in an address; `None` if there is none, also for another version's address.
#[must_use]
pub fn find(path: &str) -> Option<&'static Asset> {
    let library = library();
    let (version, path) = path.split_once('/')?;
    library.files.get(path).filter(|_| version == library.version)
}

/// Every address and file, for whoever writes pages to disk.
pub fn all() -> impl Iterator<Item = (String, &'static Asset)> {
    library().files.iter().map(|(path, asset)| (href(path), asset))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn addresses_lead_to_files_and_back() {
        let address = href("css/app.css");
        let sheet =
            find(address.strip_prefix("/assets/").expect("assets live under /assets/")).expect("the style sheet");
        assert_eq!(sheet.mime, "text/css; charset=utf-8");
        let text = std::str::from_utf8(sheet.raw()).expect("style sheets are UTF-8");
        assert!(text.find("--ctl").expect("tokens") < text.find(".btn").expect("controls"), "joined in order");
        assert!(find("00000000/css/app.css").is_none(), "another version's address");
        assert!(find("css/app.css").is_none());
        assert!(find("").is_none());
        assert!(all().all(|(address, _)| !address.ends_with(".md")), "notes are not served");
    }

    #[test]
    fn packed_bytes_unpack_to_the_file() {
        for (address, asset) in all() {
            if let Some(packed) = asset.gzip() {
                let mut text = Vec::new();
                flate2::read::GzDecoder::new(packed).read_to_end(&mut text).expect("gzip");
                assert!(text == asset.raw(), "{address} by gzip");
            }
            if let Some(packed) = asset.zstd() {
                assert!(zstd::decode_all(packed).expect("zstd") == asset.raw(), "{address} by zstd");
            }
        }
    }

    #[test]
    fn scripts_stay_within_60_kilobytes() {
        let bytes: usize = all()
            .filter(|(address, _)| address.ends_with(".js"))
            .filter_map(|(_, asset)| asset.gzip())
            .map(<[u8]>::len)
            .sum();
        assert!(bytes <= 60 * 1024, "{bytes} bytes of scripts, gzipped");
    }

    #[test]
    fn vendored_scripts_are_those_of_the_table() {
        let table = Vendor::get("vendor/README.md").expect("the table of vendored files");
        let table = String::from_utf8_lossy(&table.data).into_owned();
        for path in Vendor::iter().filter(|path| path.ends_with(".js")) {
            let data = Vendor::get(&path).expect("embedded").data;
            let sum: String = Sha256::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect();
            let name = path.trim_start_matches("vendor/");
            let row = table.lines().find(|row| row.contains(name)).unwrap_or_else(|| panic!("{name} is in no row"));
            assert!(row.contains(&sum), "{name} has sum {sum}");
        }
    }
}
