use sandbox::{Sandbox, SandboxOptions};

use crate::{
    exit::Exit,
    failure::Failure,
    signals::{Signal, Signals},
    terminal::Printer,
};

/// `sandbox`: serves an imitation of the API until a signal comes; the status is the signal's.
pub(crate) fn serve_sandbox(options: SandboxOptions, printer: &Printer, signals: &Signals) -> Result<Exit, Failure> {
    let credentials = credentials(&options);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::ReadOrWrite, format!("the sandbox can't be started: {error}")))?;
    let _graceful = signals.gracefully();
    runtime.block_on(async {
        let listen = options.listen;
        let sandbox = Sandbox::start(options).await.map_err(|error| {
            Failure::usage(error).with_hint(format!("choose another address, as `--listen {}:0`", listen.ip()))
        })?;
        let url = sandbox.base_url();
        let url = url.trim_end_matches('/');
        printer.note(&format!(
            "listening on {url}\n{credentials}\n\
             try it:   contactsync push --base-url {url} INPUT, with these in ENGAGELAB_MA_API_KEY and _SECRET\n\
             figures:  {url}/_sandbox/stats\n\
             a user:   {url}/_sandbox/contacts/EUID\n\
             an id:    {url}/_sandbox/ids/user_id/ID\n\
             Ctrl-C stops it."
        ));
        signals.wait().await;
        sandbox.stop().await;
        Ok(signals.received().map_or(Exit::Success, Signal::exit))
    })
}

/// Those given by somebody are not repeated: they may be real ones.
fn credentials(options: &SandboxOptions) -> String {
    let defaults = SandboxOptions::default();
    let shown = |given: &str, default: &str| if given == default { default.to_owned() } else { "as given".to_owned() };
    let key = shown(&options.api_key, &defaults.api_key);
    let secret = shown(&options.api_secret, &defaults.api_secret);
    format!("key:      {key}\nsecret:   {secret}")
}
