#!/bin/sh
# Nights under a real systemd, in a container that has booted with the units installed. Writes what it sees to /out/log, and
# `all nights passed` as its last line.
set -eu
exec >/out/log 2>&1

failed() { echo "FAILED: $*"; exit 1; }
told() {
  [ $? -eq 0 ] && return
  systemctl --no-pager --lines=0 status 'contactsync*' || true
  journalctl --no-pager --lines=80
}
trap told EXIT
is() { [ "$2" = "$3" ] || failed "$1: $2 instead of $3"; }
# How often it was started again by itself; systemd forgets that once a unit is over.
restarts() { journalctl --unit="contactsync@$1" --output=cat | grep -c 'Scheduled restart job' || true; }
of() { systemctl show --property="$2" --value "contactsync@$1"; }
# Waits until this is so, a minute at most.
until_so() {
  tries=0
  until eval "$2"; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || failed "never: $1"
    sleep 0.1
  done
}
over() { until_so "$1 is over" "case \$(of $1 ActiveState) in inactive | failed) ;; *) false ;; esac"; }
figure() { grep -o "\"$2\": *[0-9]*" /var/lib/contactsync/$1/reports/*.json | grep -o '[0-9]*$'; }
# A job, with its export of so many users, and what its configuration says further.
job() {
  { echo euid,email; seq "$2" | sed 's/.*/&,user&@example.com/'; } >/srv/contactsync/$1.csv
  chgrp contactsync-data /srv/contactsync/$1.csv
  chmod 640 /srv/contactsync/$1.csv
  { echo 'base_url = "http://127.0.0.1:8080"'; echo 'rate = "300/s"'; printf '%s\n' "$3"; } >/etc/contactsync/$1.toml
  echo sandbox-key >/etc/contactsync/$1.key
  echo sandbox-secret >/etc/contactsync/$1.secret
  chmod 600 /etc/contactsync/$1.key /etc/contactsync/$1.secret
  mkdir -p /etc/systemd/system/contactsync@$1.service.d
  printf '[Service]\nRestartSec=1s\n' >/etc/systemd/system/contactsync@$1.service.d/quick.conf
  systemctl daemon-reload
}
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

systemd-run --quiet --unit=sandbox contactsync sandbox --listen 127.0.0.1:8080
until_so 'the sandbox listens' 'journalctl --unit=sandbox --output=cat | grep -q 127.0.0.1:8080'

echo '--- killed in the night: started again by itself, and goes on where it was'
job nightly 2000 'max_failures = "5%"'
systemctl start contactsync@nightly
report=/var/lib/contactsync/nightly/reports/$(date +%F).ndjson.zst
until_so 'a report' "[ -s $report ]"
systemctl kill --signal=KILL contactsync@nightly
over nightly
is result "$(of nightly Result) $(restarts nightly)" 'success 1'
is rows "$(figure nightly rows_read) $(figure nightly not_sent) $(figure nightly failed) $(figure nightly exit_code)" '2000 0 0 0'
[ "$(figure nightly resumed_rows)" -gt 0 ] || failed 'nothing was taken over'
is reports "$(ls /var/lib/contactsync/nightly/reports)" "$(printf '%s\n' "$(date +%F).json" "$(date +%F).ndjson.zst" "$(date +%F).ndjson.zst.run")"
is mode "$(stat --format=%a /var/lib/contactsync/nightly/reports/* | sort -u)" 600
[ ! -e /run/contactsync/nightly/night ] || failed "the night's name is left for the next one"
# Credentials are private to the unit, whatever their mode says.
! journalctl --unit=contactsync@nightly --output=cat | grep -i 'read by others' || failed 'a warning of credentials'

echo '--- figures are read by others, contacts are not'
as_nobody grep -q '^contactsync_run_exit_code.*} 0' /var/lib/contactsync-metrics/nightly.prom || failed 'no figures'
! as_nobody cat "$report" || failed 'the report is read by others'
! as_nobody cat /srv/contactsync/nightly.csv || failed 'the export is read by others'

echo '--- started again on the same day: nothing is left to do'
before=$(wc -c <"$report")
systemctl start contactsync@nightly
over nightly
is result "$(of nightly Result) $(wc -c <"$report")" "success $before"

echo '--- the window is over: no failure, and not tried again'
job window 2000 'max_duration = "1s"'
systemctl start contactsync@window
over window
is result "$(of window ActiveState) $(figure window exit_code) $(restarts window)" 'inactive 7 0'

echo '--- stopped: no failure, and what is under way is finished'
job stopped 20000 ''
systemctl start contactsync@stopped
until_so 'a report' '[ -s /var/lib/contactsync/stopped/reports/*.zst ]'
systemctl stop contactsync@stopped
is result "$(of stopped ActiveState) $(figure stopped exit_code) $(restarts stopped)" 'inactive 143 0'

echo '--- somebody else stops it by a signal: tried again'
systemctl start contactsync@stopped
until_so 'it runs' '[ "$(of stopped MainPID)" != 0 ] && grep -q "^contactsync_running.*} 1" /var/lib/contactsync-metrics/stopped.prom'
kill -TERM "$(of stopped MainPID)"
until_so 'a second try' '[ "$(restarts stopped)" = 1 ]'
systemctl stop contactsync@stopped
[ ! -e /out/mail ] || failed 'mail for nothing'

echo '--- the key is refused: not tried again, and somebody is told'
job refused 200 ''
echo of-last-year >/etc/contactsync/refused.secret
systemctl start contactsync@refused
over refused
is result "$(of refused ActiveState) $(of refused ExecMainStatus) $(restarts refused)" 'failed 3 0'
until_so 'mail' '[ -s /out/mail ]'
until_so 'the whole mail' 'grep -q "exit status\|status=3" /out/mail'
grep -q '^Subject: contactsync refused on .*exit-code 3$' /out/mail || failed 'the subject'
! grep -q of-last-year /out/mail || failed 'the secret is mailed'
rm /out/mail

echo '--- out of reach: tried again as often as a night allows, then somebody is told'
job away 200 'outage_wait = "1s"'
sed -i s/:8080/:8081/ /etc/contactsync/away.toml
printf '[Unit]\nStartLimitBurst=3\n' >>/etc/systemd/system/contactsync@away.service.d/quick.conf
systemctl daemon-reload
systemctl start contactsync@away
until_so 'it is given up' '[ "$(of away ActiveState)" = failed ]'
is status "$(of away ExecMainStatus) $(restarts away)" '6 3'
until_so 'mail' 'grep -qs "contactsync away on" /out/mail'

echo '--- two jobs share a rate by a file'
for job in one other; do
  job $job 200 'share_rate = "/var/lib/contactsync/quota/engagelab"'
  printf '[Service]\nStateDirectory=contactsync/quota\n' >>/etc/systemd/system/contactsync@$job.service.d/quick.conf
done
systemctl daemon-reload
systemctl start contactsync@one contactsync@other
for job in one other; do
  over $job
  is result "$(of $job Result) $(figure $job synced)" 'success 200'
done

echo '--- no credentials: nothing is started'
job bare 10 ''
rm /etc/contactsync/bare.key
! systemctl start contactsync@bare || failed 'it was started'

echo '--- old reports go, and the state stays'
touch --date='40 days ago' "$report" "$report.run"
systemd-tmpfiles --clean contactsync.conf
[ ! -e "$report" ] && [ ! -e "$report.run" ] || failed 'a report of six weeks ago is there'
[ -s /var/lib/contactsync/nightly/contacts.state ] && [ -s "${report%.ndjson.zst}.json" ] || failed 'too much is gone'

echo '--- the timer'
systemctl start contactsync@nightly.timer
systemctl list-timers --no-pager contactsync@nightly.timer | grep -q ' 02:' || failed 'not at two'

echo 'all nights passed'
