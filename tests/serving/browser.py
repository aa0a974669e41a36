"""Pages in the distribution's Chromium, without a window, driven by playwright."""

import contextlib


@contextlib.contextmanager
def open_page(browser, **options):
    """Yields (page, problems): a list that grows by what the page's console calls an error.

    Args:
      browser: of the fixture.
      **options: arguments of playwright's `new_page`.
    """
    page, problems = browser.new_page(**options), []
    page.on('console', lambda message: message.type == 'error' and problems.append(message.text))
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.on('requestfailed', lambda request: problems.append(f'{request.url}: {request.failure}'))
    try:
        yield page, problems
    finally:
        page.close()
