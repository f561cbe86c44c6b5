"""The paper's tables, measured: what stands in each (`definitions`), put together (`build`), written (`render`)."""
