"""Lines of progress."""


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours where there are some."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
