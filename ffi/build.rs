//! Gives the shared library its name for the dynamic linker: the ABI's number stands in it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libstrongroom.so.0");
    }
}
