"""The apps, a file each, in the shape of the public ones."""

from apps.app import App
from apps.examples import (
    analytics,
    batchnorm,
    distillation,
    fedsgd,
    growing,
    legacy,
    logistic,
    optimiser_state,
    own_loop,
    personal,
    quickstart,
    scaffold,
    several_records,
    trees,
    vertical,
)

APPS: dict[str, App] = {
    app.name: app
    for app in (
        quickstart.APP,
        own_loop.APP,
        several_records.APP,
        analytics.APP,
        vertical.APP,
        distillation.APP,
        fedsgd.APP,
        optimiser_state.APP,
        personal.APP,
        scaffold.APP,
        legacy.APP,
        legacy.SECURE,
        trees.APP,
        logistic.APP,
        growing.APP,
        batchnorm.WINE,
        batchnorm.CANCER,
    )
}
