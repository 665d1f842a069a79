//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Half a MiB of relocations, read once at the start and resident ever since, becomes 8 KiB. glibc applies them since 2.36;
    // linkers of other architectures warn and go on without.
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
