"""``vector-pipeline serve``: the reader over HTTP, for applications in other languages. Needs the extra ``serve``.

Laws
----
1. It only reads, and it is the reader: what ``vector_pipeline.serving`` promises holds for every request.
2. Everything that a client can make grow is bounded: bodies, texts, filters, hits, time, requests at work, open readers, errors.
   What is beyond is refused at once.
3. No text of a query, no value of a filter, no key, token or other secret is logged, counted or repeated in an error.
4. Whatever a client sends, a mistake of it is a 4xx: a 5xx says that something is wrong here.
"""
