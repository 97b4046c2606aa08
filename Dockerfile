# The image: the program, the C library it is linked with, and the certificate authorities that it trusts; no shell.
#   docker build --tag contactsync .
# Both stages are the same release of Debian, so that the C library is one. The authorities are the system's (as everywhere:
# contactsync brings none), and the second stage has them.
FROM docker.io/library/rust:1.95-slim-trixie AS build
WORKDIR /source
COPY . .
# What was fetched is kept for the next time; what was built isn't, since cargo tells what to build anew by times, and an older
# checkout could pass for unchanged.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked --package contactsync && \
    install -D --mode=0755 --strip target/release/contactsync /image/usr/local/bin/contactsync && \
    install -D --mode=0644 LICENSE /image/usr/share/doc/contactsync/LICENSE

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /image/ /
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/contactsync"]
