# The program of `weave run`, beside the addon: static, as it runs in whatever image.
set -e
target=$(rustc -vV | sed -n 's/^host: //p')
cargo rustc --locked --release -p weave-wait --target "$target" -- -C target-feature=+crt-static
cp "${CARGO_TARGET_DIR:-target}/$target/release/weave-wait" "weave-wait.linux-$(node -p process.arch)"
