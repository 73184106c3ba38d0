"""The command line behind `make`: run a night or say what the first would do, try a source on, compare the policy packs, write one out.

Belongs here: arguments, what a person sees at the end, exit codes. Does not belong here: the work.

Exit codes: 0 everything is there · 1 the night stopped, with the reason · 2 the settings or the arguments mean nothing.
"""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import signal
import sys
import time
import traceback
import warnings
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import NoReturn

from dagster_project import console
from dagster_project import settings as environment
from dagster_project.home import keep_private
from dagster_project.settings import Settings, SettingsError
from dagster_project.words import message


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        settings = environment.load()
        keep_private(settings)
    except SettingsError as unusable:
        return _unusable(options, str(unusable))
    except Exception as broken:  # a policy file that is none, a home that cannot be looked into
        from dagster_project.notice import in_words

        return _unusable(options, in_words(f"{type(broken).__name__}: {broken}"))
    try:
        return int(options.command(settings, options))
    except SettingsError as unusable:
        return _unusable(options, str(unusable))
    except (Exception, KeyboardInterrupt) as broken:  # whatever it is, a person is told in a line
        return _broken(settings, options, broken)


def _unusable(options: argparse.Namespace, why: str) -> int:
    """Say what does not describe a run; to whoever is alerted as well where nobody may be looking."""
    print(f"\nThe settings do not describe a run:\n{message(why)}", file=sys.stderr)
    if options.command in STARTED_UNSEEN:
        from dagster_project.notice import never_began

        never_began(STARTED_UNSEEN[options.command], message(why).splitlines())
    return 2


def _broken(settings: Settings, options: argparse.Namespace, broken: BaseException) -> int:
    """Say why a command ended that nothing in it has words for, and where the trace is; to whoever is alerted as well where nobody may be
    looking."""
    from dagster_project.notice import in_words, never_began

    why = message(in_words(f"{type(broken).__name__}: {broken}"))
    console.clear_progress()
    print(f"\nIt stopped: {why}", file=sys.stderr)
    with suppress(OSError):
        trace = settings.home / "logs" / f"{date.today()}.command.log"
        trace.parent.mkdir(parents=True, exist_ok=True)
        with trace.open("a", encoding="utf-8") as file:
            file.write(message("".join(traceback.format_exception(broken))))
        print(f"The trace: {trace}", file=sys.stderr)
    if options.command in STARTED_UNSEEN:
        never_began(STARTED_UNSEEN[options.command], [why])
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dagster_project", description="Arrears: the nightly run.")
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="run the nightly job for one morning")
    run.set_defaults(command=_run)
    run.add_argument("--date", type=_date, help="the morning, YYYY-MM-DD; today where left out")
    run.add_argument("--full", action="store_true", help="ask the source for everything, not for what changed")
    run.add_argument("--refresh", action="store_true", help="ask the source also for a past morning that is out already")
    run.add_argument(
        "--known", choices=("then", "now"), default="then", help="what a past morning knows: what was known then, or now"
    )
    run.add_argument("--threads", type=int, default=min(os.cpu_count() or 2, 4), help="how many dbt nodes are built at a time")
    connect = commands.add_parser("connect", help="try a source on: who we are there, what can be read, and how it comes out")
    connect.set_defaults(command=_connect)
    connect.add_argument("--source", help="the source; ARREARS_SOURCE where left out")
    connect.add_argument("--anew", action="store_true", help="have a person let us in again, though somebody has")
    commands.add_parser(
        "reconcile", help="hold the published morning against what the source itself says is open, as a page to be signed"
    ).set_defaults(command=_reconcile)
    adopt = commands.add_parser(
        "adopt", help="say what the first night would do, before it does it; nothing is landed, published or sent"
    )
    adopt.set_defaults(command=_adopt)
    adopt.add_argument("--date", type=_date, help="the morning, YYYY-MM-DD; today where left out")
    adopt.add_argument("--threads", type=int, default=min(os.cpu_count() or 2, 4), help="how many dbt nodes are built at a time")
    compare = commands.add_parser("compare", help="hold the policy packs against the published morning's book, side by side")
    compare.set_defaults(command=_compare)
    compare.add_argument(
        "--with", dest="beside", metavar="PACK", help="the one pack to hold beside the selected; all where left out"
    )
    scenario = commands.add_parser("scenario", help="say what other terms, limits or habits would change on the published book")
    scenario.set_defaults(command=_scenario)
    scenario.add_argument("--pack", help="another policy pack; the selected one where left out")
    scenario.add_argument("--net-days", type=int, default=0, help="by how many days net terms change: -15")
    scenario.add_argument(
        "--tier", action="append", default=[], help="whose net terms change; everybody's where left out; may be said again"
    )
    scenario.add_argument("--limits", type=int, default=100, metavar="PERCENT", help="the limits, per cent of the tiers' own: 80")
    scenario.add_argument(
        "--late", type=int, default=0, metavar="DAYS", help="how many days later beyond terms everybody pays: -5"
    )
    backtest = commands.add_parser("backtest", help="try the policy, or another pack beside it, on the past year's month ends")
    backtest.set_defaults(command=_backtest)
    backtest.add_argument("--pack", help="the pack to hold beside the selected one")
    backtest.add_argument(
        "--threads", type=int, default=min(os.cpu_count() or 2, 4), help="how many dbt nodes are built at a time"
    )
    policy = commands.add_parser("policy", help="write a policy pack out as the credit policy to be signed, as Markdown")
    policy.set_defaults(command=_policy)
    policy.add_argument("--pack", help="the pack; ARREARS_POLICY where left out")
    policy.add_argument("--date", type=_date, help="the day whose policy it is, YYYY-MM-DD; today where left out")
    policy.add_argument("--out", type=Path, help="the file to write it to, instead of printing it")
    forget = commands.add_parser(
        "forget", help="blank what is personal of somebody everywhere, and keep a record that it was done"
    )
    forget.set_defaults(command=_forget)
    who = forget.add_mutually_exclusive_group(required=True)
    who.add_argument("--customer", help="the customer_id: the customer and everybody there")
    who.add_argument("--contact", help="the contact_id: one person")
    commands.add_parser("compact", help="put old loads together and remove what policy no longer keeps").set_defaults(
        command=_compact
    )
    send = commands.add_parser("send", help="send a morning's list by e-mail to whoever has not had it")
    send.set_defaults(command=_send)
    send.add_argument("--date", type=_date, help="the morning, YYYY-MM-DD; the newest where left out")
    send.add_argument("--again", action="store_true", help="also to whoever had it, or may have had it")
    remind = commands.add_parser("remind", help="send today's reminders that go out by themselves to whoever has not had theirs")
    remind.set_defaults(command=_remind)
    remind.add_argument("--dry", action="store_true", help="write what would be sent into a folder instead")
    remind.add_argument("--date", type=_date, help="with --dry: the morning, YYYY-MM-DD; the newest where left out")
    verify = commands.add_parser("verify", help="read everything that is landed and hold it against what was")
    verify.set_defaults(command=_verify)
    verify.add_argument("--accept", action="store_true", help="put what is damaged aside and do without it")
    commands.add_parser("datadocs", help="write Great Expectations' pages about the newest load of each dataset").set_defaults(
        command=_datadocs
    )
    postgres = commands.add_parser("postgres", help="put what is published into the database of ARREARS_POSTGRES_URL now")
    postgres.set_defaults(command=_postgres)
    commands.add_parser("prepare", help="parse the dbt project where it changed").set_defaults(command=_prepare)
    serve = commands.add_parser("serve", help="run the web server and the daemon, which starts the nights, until told to end")
    serve.set_defaults(command=_serve)
    serve.add_argument("--host", default="127.0.0.1", help="the address the web server listens on")
    serve.add_argument("--port", type=int, default=3000)
    commands.add_parser("instance", help="prepare the Dagster instance's folder and print it").set_defaults(command=_instance)
    return parser


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write it as 2025-06-30") from None


def _prepare(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project import dbt_build

    try:
        dbt_build.prepare()
    except dbt_build.DbtError as broken:
        print(broken, file=sys.stderr)
        return 1
    return 0


def _instance(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.night import look_after_nights

    for line in look_after_nights(settings):
        print(line, file=sys.stderr)
    print(os.environ["DAGSTER_HOME"])
    return 0


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project import dbt_build, notice
    from dagster_project.night import look_after_nights
    from dagster_project.serve import serve

    try:
        dbt_build.prepare()
        for line in look_after_nights(settings):
            print(line, file=sys.stderr)
        ended = serve(options.host, options.port)
    except Exception as broken:
        ended = notice.in_words(f"{type(broken).__name__}: {broken}")
    if ended:
        print(message(ended), file=sys.stderr)
        notice.never_began(STARTED_UNSEEN[_serve], [message(ended)])
    return 1 if ended else 0


def _connect(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.connect import connect as try_on
    from dagster_project.connect import printed

    console.show_progress()
    return 0 if try_on(settings, options.source or settings.source, printed, anew=options.anew) else 1


def _reconcile(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.reconcile import NothingToReconcile, reconcile

    try:
        text, page = reconcile(settings)
    except NothingToReconcile as nothing:
        print(nothing, file=sys.stderr)
        return 1
    print(f"{message(text)}\n{page}")
    return 0


def _compare(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.comparison import NothingToCompare, comparison_of

    try:
        print(comparison_of(settings.published, options.beside))
    except NothingToCompare as nothing:
        print(nothing, file=sys.stderr)
        return 1
    return 0


def _scenario(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.comparison import NothingToCompare
    from dagster_project.scenario import Question, scenario_of

    question = Question(options.pack, options.net_days, tuple(options.tier), options.limits, options.late)
    try:
        print(scenario_of(settings.published, question))
    except NothingToCompare as nothing:
        print(nothing, file=sys.stderr)
        return 1
    return 0


def _backtest(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.backtest import NothingToTry, backtest_of
    from dagster_project.dbt_build import DbtError
    from dagster_project.engines import EngineError
    from dagster_project.landing import LandingError
    from dagster_project.warehouse import AlreadyAtWork

    try:
        print(backtest_of(settings, options.pack, threads=options.threads))
    except (NothingToTry, AlreadyAtWork, DbtError, EngineError, LandingError) as nothing:
        print(nothing, file=sys.stderr)
        return 1
    return 0


def _policy(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.credit_policy import NoSuchPolicy, written

    try:
        text = written(options.pack or settings.policy, options.date or settings.today())
    except NoSuchPolicy as unknown:
        print(unknown, file=sys.stderr)
        return 2
    if options.out:
        options.out.write_text(text, "utf-8")
    else:
        print(text, end="")
    return 0


def _forget(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.forgetting import ForgettingError, forget
    from dagster_project.landing import Landing, LandingError
    from dagster_project.landing.forget import Person

    landing = Landing.of(settings)
    person = Person("customer", options.customer) if options.customer else Person("contact", options.contact)
    try:
        landing.refresh()
        done = forget(settings, landing, person)
    except (ForgettingError, LandingError) as refused:
        print(refused, file=sys.stderr)
        return 1
    record = done.record
    print(
        f"the {record.kind} {record.key} is forgotten: {len(record.files)} files of loads, {record.quarantined} refused records blanked, "
        f"{done.rewritten} other files written anew, {done.removed} removed; the record {record.id} says so"
    )
    if settings.postgres_url and (settings.published / "parquet").exists():
        return _postgres(settings, options)
    return 0


def _postgres(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project import dbt_build, described
    from dagster_project.outgoing.postgres import PostgresError, bring

    if not settings.postgres_url:
        print("ARREARS_POSTGRES_URL is not set: write postgresql://user:password@host/database there", file=sys.stderr)
        return 2
    if not (settings.published / "parquet").exists():
        print("Nothing is published yet: make run", file=sys.stderr)
        return 1
    try:
        dbt_build.prepare()
        print(f"PostgreSQL: {bring(settings.postgres_url.get_secret_value(), settings.published, described.marts(), anew=True)}")
    except (PostgresError, dbt_build.DbtError, OSError) as away:
        print(f"PostgreSQL does not have the morning: {away}", file=sys.stderr)
        return 1
    return 0


def _compact(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project import upkeep
    from dagster_project.landing import Landing, LandingError

    landing = Landing.of(settings)
    try:
        landing.refresh()
        together = upkeep.compact(settings, landing, after=1)
        removed = upkeep.clear(settings, landing, settings.today())
    except LandingError as damaged:
        print(damaged, file=sys.stderr)
        return 1
    for name, loads in together.items():
        print(f"{name:<18} {loads:>6,} loads put together")
    for kind, count in removed.items():
        print(f"{kind:<18} {count:>6,} removed")
    return 0


def _send(settings: Settings, options: argparse.Namespace) -> int:
    from filelock import Timeout

    from dagster_project import mail
    from dagster_project.warehouse import published_as_of

    as_of = options.date or published_as_of(settings.published)
    if as_of is None:
        print("No morning is out yet: make run", file=sys.stderr)
        return 1
    try:
        sent = mail.send_morning(settings, as_of, again=options.again)
    except (OSError, Timeout, ValueError) as failed:
        print(message(f"No list was sent: {failed}"), file=sys.stderr)
        return 1
    if sent is None:
        print(
            "No mail is configured: set ARREARS_MAIL_SMTP, and ARREARS_ENVIRONMENT=production, or ARREARS_MAIL_FOLDER",
            file=sys.stderr,
        )
        return 2
    print(f"The list of {as_of}: {len(sent.sent)} letters sent, {len(sent.before)} sent before")
    for line in sent.lines:
        print(message(line), file=sys.stderr)
    return 1 if sent.not_sent or sent.unsure else 0


def _remind(settings: Settings, options: argparse.Namespace) -> int:
    from filelock import Timeout

    from dagster_project import mail
    from dagster_project.policy import PolicyError
    from dagster_project.seals import SealError
    from dagster_project.warehouse import published_as_of

    as_of = (options.date if options.dry else None) or published_as_of(settings.published)
    if as_of is None:
        print("No morning is out yet: make run", file=sys.stderr)
        return 1
    try:
        if options.dry:
            folder, sent = mail.rehearse(settings, as_of)
            print(f"The morning of {as_of} would send {len(sent.sent):,} reminders by itself: {folder}")
        else:
            done = mail.send_reminders(settings, as_of)
            if done is None:
                needs = "ARREARS_SEND_REMINDERS=yes, ARREARS_ENVIRONMENT=production and a server (ARREARS_MAIL_SMTP)"
                print(f"Nobody is written to by itself without {needs}; what would be sent: make remind DRY=1", file=sys.stderr)
                return 2
            sent = done
            print(f"The reminders of {as_of}: {len(sent.sent):,} sent, {len(sent.before):,} sent before")
    except (OSError, Timeout, ValueError, mail.NoneLeaves, PolicyError, SealError) as failed:
        print(message(f"No reminder was sent: {failed}"), file=sys.stderr)
        return 1
    for who, why in sent.not_sent.items():
        print(message(f"{who} gets none: {why}" if options.dry else f"{who} got none: {why}"), file=sys.stderr)
    for who, why in sent.unsure.items():
        print(message(f"{who} may or may not have got one: {why}"), file=sys.stderr)
    return 1 if not options.dry and (sent.not_sent or sent.unsure) else 0


def _datadocs(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.contract import DATASETS
    from dagster_project.landing import Landing
    from dagster_project.quality import facts_of, write_data_docs

    landing, today = Landing.of(settings), settings.today()
    landing.refresh()
    facts = [
        facts_of(landing, dataset, loads[-1], loads[-1].as_of, settings.policy)
        for dataset in DATASETS.values()
        if (loads := landing.loads(dataset, today))
    ]
    if not facts:
        print("Nothing has landed yet: make run", file=sys.stderr)
        return 1
    print(write_data_docs(facts, settings.home / "data_docs"))
    return 0


def _verify(settings: Settings, options: argparse.Namespace) -> int:
    from dagster_project.contract import LANDED
    from dagster_project.landing import Landing, LandingError

    landing = Landing.of(settings)
    try:
        landing.refresh()
    except LandingError as away:
        print(away, file=sys.stderr)
        return 1
    damaged = 0
    for name, dataset in LANDED.items():
        damages = landing.give_up(dataset, accepted=True) if options.accept else landing.damages(datasets=[dataset], whole=True)
        damaged += len(damages)
        if damages:
            told = "given up" if options.accept else "damaged"
            print(
                f"{name:<18} {told}:",
                *(f"\n  {damage.path} {damage.what}" if options.accept else f"\n  {damage}" for damage in damages),
            )
        elif loads := landing.loads(dataset):
            print(
                f"{name:<18} {len(loads):>6,} loads {sum(load.manifest.landed for load in loads):>12,} rows as they were landed"
            )
    return 1 if damaged and not options.accept else 0


def _morning(settings: Settings, today: date) -> date:
    """Whose morning it is where none is asked for: today's, and for the demo on a day off that of the last working day, since a newcomer
    who came on a Saturday would be shown a list with nothing on it."""
    if settings.source != "demo":
        return today
    from dagster_project.demo.timeline import last_working_day

    if (worked := last_working_day(today)) != today:
        print(f"{today:%A} {today} is a day off, on which nobody is written to: the demo shows {worked:%A}'s morning.")
        print(f"The list of {today} itself: make run DATE={today}")
    return worked


def _asked_for(settings: Settings, asked: date | None) -> date | None:
    """The morning that is asked for; None, with the reason on standard error, where there can be none."""
    today = settings.today()
    as_of = asked or _morning(settings, today)
    if as_of > today:
        print(f"\n{as_of} has not come yet: today is {today} in {settings.timezone}.", file=sys.stderr)
        return None
    if as_of < environment.FIRST_MORNING:
        print(f"\n{as_of} is too long ago: the first morning there is, is {environment.FIRST_MORNING}.", file=sys.stderr)
        return None
    for line in environment.not_understood():
        print(line, file=sys.stderr)
    return as_of


def _adopt(settings: Settings, options: argparse.Namespace) -> int:
    warnings.simplefilter("ignore")  # as in a night
    as_of = _asked_for(settings, options.date)
    if as_of is None:
        return 2
    print(f"Arrears · what the first night would do · {as_of} · source {settings.source} · policy {settings.policy}", flush=True)
    from dagster_project import dbt_build
    from dagster_project.warmup import Warmup

    warmup = Warmup.begin(settings, as_of)
    console.show_progress()
    from dagster_project import adoption
    from dagster_project.rehearsal import rehearsed
    from dagster_project.warehouse import AlreadyAtWork

    try:
        dbt_build.prepare()
        with rehearsed(settings, as_of, warmup, threads=options.threads) as rehearsal:
            text = adoption.report(settings, rehearsal)
    except (AlreadyAtWork, dbt_build.DbtError) as refused:
        print(refused, file=sys.stderr)
        return 1
    finally:
        warmup.end()
        console.clear_progress()
    print(f"\n{text}\nkept in    {adoption.keep(settings, as_of, text)}")
    return 0 if rehearsal.built else 1


def _run(settings: Settings, options: argparse.Namespace) -> int:
    began = time.monotonic()
    with suppress(ValueError):  # in a thread of somebody's process nobody can be told so
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # who is told to end says so, from the first second on
    warnings.simplefilter("ignore")  # libraries speak of their own future here; the run's log and the tests hear them
    as_of = _asked_for(settings, options.date)
    if as_of is None:
        return 2
    print(f"Arrears · the night of {as_of} · source {settings.source} · policy {settings.policy}", flush=True)
    from dagster_project.warmup import Warmup

    warmup = Warmup.begin(settings, as_of)  # these processes import and prepare while this one still imports
    console.show_progress()
    try:
        from dagster_project import notice
        from dagster_project.night import run_night

        how = {"full": options.full, "refresh": options.refresh, "known": options.known, "threads": options.threads}
        night = run_night(settings, as_of, **how, begun=warmup)
    finally:
        warmup.end()
        console.clear_progress()
    if not night.success:
        print(f"\nThe night of {as_of} stopped:", file=sys.stderr)
        for reason in night.reasons:
            print(f"  {message(reason)}", file=sys.stderr)
        for line in notice.what_is_there(settings, as_of, night.run_id):
            print(line, file=sys.stderr)
        if night.log:
            print(f"The log, with traces: {night.log}", file=sys.stderr)
        for line in notice.what_to_do(settings, as_of):
            print(line, file=sys.stderr)
        return 1

    from dagster_project.summary import summary_of

    print(f"\n{message(summary_of(settings, as_of))}\n\nlog        {night.log}\ndone in    {time.monotonic() - began:.1f} s")
    return 0


STARTED_UNSEEN = {_run: "the night", _serve: "the service"}
"""What a timer or a supervisor starts, so that nobody reads what it prints."""


def _leave(code: int) -> NoReturn:
    """End the process without taking everything it imported apart first: that takes seconds after a night, and the system does it."""
    atexit._run_exitfuncs()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
