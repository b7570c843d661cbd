"""An experiment runner for curriculum training.

    from curriculum import PhaseEnd, on, run

    @on(PhaseEnd)
    def report(event):
        print(event.step, event.phase.name)

    run("default", "smooth.csv", hooks=[report])

`__init__.pyi` lists the public names with their types. Each is imported when it is first used, so that importing the
package costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
