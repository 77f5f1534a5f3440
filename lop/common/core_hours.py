"""Core-hours as text."""


def hours_text(hours: float) -> str:
    """Format hours with two significant digits; NaN is `unknown`."""
    if hours != hours:
        return "unknown"
    return f"{hours:.2g}" if hours < 99.5 else f"{float(f'{hours:.2g}'):,.0f}"


def cost_text(hours: float) -> str:
    """Return `about 12 core-hours`, or that the number is unknown or tiny."""
    if hours != hours:
        return "an unknown number of core-hours"
    return "less than 0.01 core-hours" if hours < 0.01 else f"about {hours_text(hours)} core-hours"
