"""Makes the pictures in docs/images, from real runs: python3 crates/xtask/pictures/pictures.py [PROGRAM]

PROGRAM is a built contactsync (target/release/contactsync unless it is named). The terminal's pictures are what tmux shows, drawn as
SVG; those of the page are taken by headless Chromium and made small by pngquant. Look at them before they are committed.
"""

import html
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

repository = pathlib.Path(__file__).resolve().parents[3]
images = repository / "docs/images"
program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else repository / "target/release/contactsync").resolve()

# A terminal that is dark, whatever the page around it is.
GROUND, TEXT = "#16191d", "#d7dade"
COLOURS = ["#5c6370", "#f07178", "#7fd88f", "#e5c07b", "#6cb6ff", "#c792ea", "#56c8d8", "#d7dade"]
WIDTH, HEIGHT, MARGIN = 8.4, 19, 16


def style(codes, state):
    """What the codes of an SGR sequence make of colour, weight and dimness."""
    codes = [int(code or 0) for code in codes.split(";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            state.clear()
        elif code in (1, 2):
            state["bold" if code == 1 else "dim"] = True
        elif code == 22:
            state.pop("bold", None), state.pop("dim", None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            state["colour"] = COLOURS[code % 10]
        elif code == 38 and codes and codes.pop(0) == 5:
            state["colour"] = COLOURS[codes.pop(0) % 8]
        elif code == 39:
            state.pop("colour", None)


def svg(screen, columns, title):
    lines = screen.rstrip().split("\n")
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" role="img">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>',
        f'<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="14" fill="{TEXT}">',
    ]
    state = {}
    for row, line in enumerate(lines):
        column, pieces = 0, []
        for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
            if piece.startswith("\x1b["):
                style(piece[2:-1], state)
                continue
            # A stretch of blanks is not drawn: each piece stands where it belongs.
            for text in re.finditer(r"\S+(?: \S+)*", piece):
                pieces.append((column + text.start(), text[0], dict(state)))
            column += len(piece)
        for at, text, how in pieces:
            more = "".join([
                f' fill="{how["colour"]}"' if "colour" in how else "",
                ' font-weight="bold"' if "bold" in how else "",
                ' opacity="0.6"' if "dim" in how else "",
            ])
            x, y = MARGIN + at * WIDTH, MARGIN + row * HEIGHT + 14
            drawn.append(
                f'<text x="{x:.1f}" y="{y}" textLength="{len(text) * WIDTH:.1f}" xml:space="preserve"{more}>{html.escape(text)}</text>'
            )
    return "\n".join(drawn + ["</g>", "</svg>", ""])


def terminal(name, title, folder, command, columns=112, until=None):
    """Types a command in a terminal and draws what stands there once it ended, or once the text is there."""
    session = f"pictures-{name}"
    shell = ["env", "PS1=$ ", f"PATH={program.parent}:/usr/bin:/bin", "LANG=C.UTF-8", "bash", "--norc", "--noprofile"]
    tmux = ["tmux", "-L", "pictures"]
    subprocess.run([*tmux, "-f", "/dev/null", "new-session", "-d", "-s", session, "-x", str(columns), "-y", "40", "-c", folder, *shell], check=True)

    def screen(*how):
        return subprocess.run([*tmux, "capture-pane", "-p", *how, "-t", session], check=True, capture_output=True, text=True).stdout

    def wait(found):
        while not found(screen()):
            time.sleep(0.1)

    wait(lambda seen: seen.startswith("$"))
    subprocess.run([*tmux, "send-keys", "-t", session, command, "Enter"], check=True)
    ended = lambda seen: seen.rstrip().endswith("\n$")
    wait(lambda seen: until in seen if until else ended(seen))
    shown = screen("-e").rstrip()
    shown = shown if until else shown.rpartition("\n")[0]
    subprocess.run([*tmux, "kill-session", "-t", session], check=True)
    (images / f"{name}.svg").write_text(svg(shown, columns, title))


def page(name, source, folder, width, height, dark=False):
    """Takes a picture of a page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    picture = images / f"{name}.png"
    options = [f"--window-size={width},{height}", "--hide-scrollbars", f"--screenshot={picture}"]
    options += ["--blink-settings=preferredColorScheme=0"] if dark else ["--blink-settings=preferredColorScheme=1"]
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", *options, f"file://{folder}/{source}"], check=True, stderr=subprocess.DEVNULL
    )
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--ext", ".png", "--speed", "1", "64", picture], check=True)


with tempfile.TemporaryDirectory() as folder:
    rows = pathlib.Path(folder, "contacts.csv")
    with rows.open("w") as file:
        file.write("euid,email,mobile_phone\n")
        for row in range(200_000):
            file.write(f"{10_000_000_000 + row},user{row}@example.com,+1202555{row % 100:04}\n")
    push = "contactsync push --sandbox --rate 2000/s contacts.csv"
    terminal("terminal-push", "A push under way", folder, push, until=" 23 %")
    pathlib.Path(folder, "night.csv").write_text("".join(rows.read_text().splitlines(True)[:501]))
    night = "contactsync push --sandbox --sandbox-fault code=-1:0.4 --retries 2 night.csv --report night.ndjson"
    terminal("terminal-summary", "The end of a push", folder, night)
    terminal("terminal-error", "A name that no column has", folder, "contactsync push --sandbox night.csv --contacts emial,mobile_phone")
    if shutil.which("chromium") or shutil.which("google-chrome"):
        with pathlib.Path(folder, "week.csv").open("w") as file:
            file.writelines(rows.read_text().splitlines(True)[:3_900])
            # As a spreadsheet spoils it.
            file.write("1.03625E+07,user@example.com,+12025550100\n")
        report = ["push", "--sandbox", "--rate", "600/s", "week.csv", "--report", "week.ndjson", "--retries", "3"]
        report += ["--sandbox-fault", "code=-1:0.3", "--sandbox-fault", "code=55004:0.01"]
        subprocess.run([program, *report], cwd=folder, stderr=subprocess.DEVNULL)
        subprocess.run([program, "report", "week.ndjson", "--html", "week.html"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
        page("report-light", "week.html", folder, 1200, 1500)
        page("report-dark", "week.html", folder, 1200, 1000, dark=True)
        page("report-narrow", "week.html", folder, 500, 1200)
    else:
        print("chromium is not installed: no pictures of the page were taken")
